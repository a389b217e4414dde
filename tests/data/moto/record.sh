#!/usr/bin/env bash
# Records what the AWS command line prints about a small account, from a moto server on this
# machine, into policies/: the outputs as they are, but for what has to be put side by side.
#
# Needs python3 with venv and access to a package index. Writes policies/*.json anew; the key id
# and the unique ids change with every recording, so questions.jsonl names the key by its alias.
set -euo pipefail
cd "$(dirname "$0")"

venv=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet 'moto[server]==5.2.5' 'awscli==1.46.3'

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-west-2
export MOTO_ACCOUNT_ID=111122223333
"$venv/bin/moto_server" -H 127.0.0.1 -p 15599 >/dev/null 2>&1 &
server=$!
aws() { "$venv/bin/aws" --endpoint-url http://127.0.0.1:15599 --output json "$@"; }
until aws kms list-keys >/dev/null 2>&1; do kill -0 "$server"; done

policy() { printf '{"Version":"2012-10-17","Statement":[%s]}' "$1"; }

# Users, groups and roles: inline, attached and group policies, a role with a path.
aws iam create-user --user-name alice >/dev/null
aws iam create-user --user-name bob >/dev/null
aws iam create-group --group-name Analysts >/dev/null
aws iam add-user-to-group --group-name Analysts --user-name alice
managed=$(aws iam create-policy --policy-name UseKeys --policy-document "$(policy \
  '{"Effect":"Allow","Action":["kms:Decrypt","kms:DescribeKey"],"Resource":"*"}')" --query Policy.Arn --output text)
aws iam attach-group-policy --group-name Analysts --policy-arn "$managed"
aws iam put-user-policy --user-name bob --policy-name describe --policy-document "$(policy \
  '{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"*"}')"
aws iam create-role --role-name Worker --path /services/ --assume-role-policy-document "$(policy \
  '{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}')" >/dev/null
aws iam put-role-policy --role-name Worker --policy-name none --policy-document "$(policy \
  '{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*"}')"

# A key with a policy, an alias, a tag and a grant.
key=$(aws kms create-key --description recorded --tags TagKey=team,TagValue=blue --policy "$(policy \
  '{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}')" \
  --query KeyMetadata.KeyId --output text)
aws kms create-alias --alias-name alias/recorded --target-key-id "$key"
aws kms create-grant --key-id "$key" --name for-worker --operations Decrypt Encrypt \
  --grantee-principal arn:aws:iam::111122223333:role/services/Worker \
  --constraints 'EncryptionContextSubset={purpose=work}' >/dev/null

rm -rf policies
mkdir policies
aws iam get-account-authorization-details \
  --filter User Group Role LocalManagedPolicy >policies/account-authorization-details.json
aws kms list-aliases >policies/list-aliases.json
aws kms list-grants --key-id "$key" >policies/list-grants.json
work=$(mktemp -d)
aws kms describe-key --key-id "$key" >"$work/describe.json"
aws kms get-key-policy --key-id "$key" --policy-name default >"$work/policy.json"
aws kms list-resource-tags --key-id "$key" >"$work/tags.json"
# describe-key, with the key policy and the tags beside it.
python3 - "$work" policies/key.json <<'PYTHON'
import json, sys
read = lambda name: json.load(open(f"{sys.argv[1]}/{name}.json"))
key = read("describe")
key["Policy"] = read("policy")["Policy"]
key["Tags"] = read("tags")["Tags"]
json.dump(key, open(sys.argv[2], "w"), indent=4)
PYTHON
rm -rf "$work"
