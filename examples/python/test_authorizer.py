"""The client against a real Keyward."""

import json
import os
import pathlib
import subprocess
import unittest

import grpc
from authorizer import Authorizer, Denied, NoAnswer, Refused, decided
from keyward.v1 import authorization_pb2 as v1

FOLDER = pathlib.Path(__file__).parent
BINARY = os.environ.get("KEYWARD_BINARY") or str(FOLDER / "../../target/debug/keyward")

ORDERS = "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc"
ADMINISTRATOR = "arn:aws:sts::111122223333:assumed-role/KeyAdministrator/kay"
INVALID_ARGUMENT = 3

# Long: these tests are about answers, not about time.
PATIENCE = 30


def question(principal: str, tenant: str, action: str = "kms:Decrypt") -> v1.AuthorizeRequest:
    return v1.AuthorizeRequest(
        principal=v1.Principal(arn=principal),
        action=action,
        key_id="alias/orders",
        encryption_context={"tenant": tenant},
    )


# One that is allowed, two that are denied, and one that cannot be answered.
QUESTIONS = [
    question(ORDERS, "42"),
    question(ORDERS, "43"),
    question(ADMINISTRATOR, "42"),
    question(ORDERS, "42", "kms:Nonsense"),
]


class AgainstKeyward(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--policies", str(FOLDER / "../quickstart"), "--listen", "127.0.0.1:0"]
            + ["--http-listen", "none", "--log-format", "json"],
            stderr=subprocess.PIPE,
        )
        self.addCleanup(self.stop)
        for line in self.process.stderr:
            line = json.loads(line)
            if line["message"] == "listening":
                break
        else:
            self.fail("keyward does not listen")
        channel = grpc.insecure_channel(line["address"])
        self.addCleanup(channel.close)
        self.authorizer = Authorizer(channel, PATIENCE)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def check(self, refusals: list[Refused | None]):
        self.assertEqual(len(refusals), 4)
        self.assertIsNone(refusals[0])
        for denied in refusals[1:3]:
            self.assertIsInstance(denied, Denied)
            self.assertIn("is not authorized to perform: kms:Decrypt", str(denied))
        self.assertIsInstance(refusals[3], NoAnswer)
        self.assertEqual(refusals[3].code, INVALID_ARGUMENT)

    def test_authorize(self):
        def refusal(asked):
            try:
                return self.authorizer.authorize(asked)
            except Refused as refused:
                return refused

        self.check([refusal(asked) for asked in QUESTIONS])

    def test_batch(self):
        self.check(self.authorizer.authorize_all(QUESTIONS))

    def test_stream(self):
        answers = dict(self.authorizer.stream(QUESTIONS))
        self.check([answers[i] for i in range(4)])

    def test_nothing_is_allowed_without_keyward(self):
        self.authorizer.authorize(QUESTIONS[0])
        self.process.kill()
        self.process.wait()
        with self.assertRaises(NoAnswer):
            self.authorizer.authorize(QUESTIONS[0])
        with self.assertRaises(NoAnswer):
            self.authorizer.authorize_all(QUESTIONS)
        with self.assertRaises(NoAnswer):
            list(self.authorizer.stream(QUESTIONS))


class WithoutKeyward(unittest.TestCase):
    def test_only_one_decision_allows(self):
        for decision in range(-1, 100):
            answer = v1.AuthorizeResponse(decision=decision)
            if decision == 1:
                decided(answer)
            else:
                with self.assertRaises(Denied):
                    decided(answer)


if __name__ == "__main__":
    unittest.main()
