"""Asks Keyward, fail-closed: whatever is not a clear "allowed" raises."""

from collections.abc import Iterable, Iterator

import grpc
from google.rpc import status_pb2
from keyward.v1 import authorization_pb2 as v1
from keyward.v1 import authorization_pb2_grpc


class Refused(Exception):
    """The operation must not be done."""


class Denied(Refused):
    """The question was answered, and not with "allowed"."""


class NoAnswer(Refused):
    """The question could not be answered."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code
        """The number of the gRPC status."""


class Authorizer:
    """Asks one Keyward."""

    def __init__(self, channel: grpc.Channel, patience: float):
        """`patience`: for how many seconds to wait for an answer."""
        self._stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
        self._patience = patience

    def authorize(self, question: v1.AuthorizeRequest) -> None:
        """Returns if the question is answered with "allowed", and only then."""
        try:
            answer = self._stub.Authorize(question, timeout=self._patience)
        except grpc.RpcError as error:
            raise _unanswered(error) from error
        decided(answer)

    def authorize_all(self, questions: list[v1.AuthorizeRequest]) -> list[Refused | None]:
        """Asks many questions in one call: all are decided by one state of the policies.

        A refusal or `None` for each, in their order."""
        try:
            batch = v1.BatchAuthorizeRequest(requests=questions)
            answers = self._stub.BatchAuthorize(batch, timeout=self._patience)
        except grpc.RpcError as error:
            raise _unanswered(error) from error
        if len(answers.items) != len(questions):
            raise NoAnswer(2, f"{len(answers.items)} answers to {len(questions)} questions")
        return [_refusal(item) for item in answers.items]

    def stream(self, questions: Iterable[v1.AuthorizeRequest]) -> Iterator[tuple[int, Refused | None]]:
        """Asks on one stream. Answers carry the id of their question: here its place."""
        messages = (v1.AuthorizeStreamRequest(id=i, request=q) for i, q in enumerate(questions))
        try:
            for answer in self._stub.AuthorizeStream(messages, timeout=self._patience):
                yield answer.id, _refusal(answer)
        except grpc.RpcError as error:
            raise _unanswered(error) from error


def decided(answer: v1.AuthorizeResponse) -> None:
    """Returns for the one decision that means "do it"; not for one that is not known here."""
    if answer.decision != v1.DECISION_ALLOWED:
        raise Denied(answer.message)


def _refusal(item: v1.BatchAuthorizeItem | v1.AuthorizeStreamResponse) -> Refused | None:
    try:
        if item.WhichOneof("result") == "response":
            decided(item.response)
            return None
        reason: status_pb2.Status = item.error
        return NoAnswer(reason.code, reason.message)
    except Refused as refused:
        return refused


def _unanswered(error: grpc.RpcError) -> NoAnswer:
    return NoAnswer(error.code().value[0], error.details())
