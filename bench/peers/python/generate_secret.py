"""POST /v1/recipients/{recipientId}/secrets"""

import hashlib
import math
import secrets
from datetime import timedelta

from ulid import ULID

from http_api import (
    TABLE,
    HttpError,
    audit,
    authenticate,
    dynamodb,
    endpoint,
    from_item,
    name,
    not_found,
    now,
    parse,
    rfc3339,
    to_item,
)


def expires_in_days(value):
    if value is not None and (type(value) is not int or not 1 <= value <= 3650):
        raise ValueError("must be an integer from 1 to 3650")
    return value


CHECKS = {"name": name, "expiresInDays": expires_in_days}


def recipient_with_secrets(recipient_id):
    answer = dynamodb.query(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :from AND :to",
        ExpressionAttributeValues=to_item(
            {":pk": f"RECIPIENT#{recipient_id}", ":from": "RECIPIENT", ":to": "SECRET#~"}
        ),
    )
    items = [from_item(item) for item in answer["Items"]]
    pointer = next((item for item in items if item["sk"] == "RECIPIENT"), None)
    return pointer, [item for item in items if item is not pointer]


@endpoint
def handler(event):
    recipient_id = event["pathParameters"]["recipientId"]
    account, key = authenticate(event)
    values = parse(event, CHECKS)
    recipient, existing = recipient_with_secrets(recipient_id)
    if recipient is None or recipient["account"] != account:
        raise not_found("Recipient")
    created_at = now()
    if sum(item.get("expiresAt", "9") > rfc3339(created_at) for item in existing) >= 100:
        raise HttpError(409, "Conflict", "This recipient has 100 active secrets")

    secret_id = f"sec_{ULID()}"
    secret = f"dk_sec_{secrets.token_hex(16)}"
    days = values["expiresInDays"]
    expiry = None if days is None else created_at + timedelta(days=days)
    pk = f"RECIPIENT#{recipient_id}"
    item = {
        "pk": pk,
        "sk": f"SECRET#{secret_id}",
        "id": secret_id,
        "recipient": recipient_id,
        "name": values["name"],
        "digest": hashlib.sha256(secret.encode()).hexdigest(),
        "createdAt": rfc3339(created_at),
        "lifetimeDays": days,
        "expiresAt": expiry and rfc3339(expiry),
        "ttl": expiry and math.ceil(expiry.timestamp()),
    }
    changes = expiry and {"expiresAt": item["expiresAt"]}
    metadata = {"recipientId": recipient_id}
    dynamodb.transact_write_items(
        ClientRequestToken=secret_id,
        TransactItems=[
            {
                "ConditionCheck": {
                    "TableName": TABLE,
                    "Key": to_item({"pk": pk, "sk": "RECIPIENT"}),
                    "ConditionExpression": "attribute_exists(pk)",
                }
            },
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": to_item(item),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            *audit(event, account, key, recipient["dock"], "secret", secret_id, created_at, changes, metadata),
        ],
    )
    body = {"id": secret_id, "secret": secret, "name": values["name"], "expiresAt": item["expiresAt"]}
    return body, {}
