"""What the endpoints share: the client, who calls, and the form of answers."""

import base64
import hashlib
import json
import math
import os
import re
import time
from datetime import datetime, timezone

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from ulid import ULID

TABLE = os.environ["TABLE_NAME"]
dynamodb = boto3.client("dynamodb")
_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

_KEY = re.compile(r"Bearer +(dk_(?:live|test)_[0-9A-Za-z]{36})", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class HttpError(Exception):
    def __init__(self, status, error, message, **more):
        super().__init__(message)
        self.status = status
        self.body = {"statusCode": status, "message": message, "error": error, **more}


def not_found(what):
    return HttpError(404, "Not Found", f"{what} not found")


def to_item(values):
    return {name: _serialize(value) for name, value in values.items() if value is not None}


def from_item(item):
    return {name: _deserialize(value) for name, value in item.items()}


def get(pk, sk):
    answer = dynamodb.get_item(TableName=TABLE, Key=to_item({"pk": pk, "sk": sk}), ConsistentRead=True)
    return from_item(answer["Item"]) if "Item" in answer else None


def rfc3339(at):
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now():
    return datetime.now(timezone.utc)


def authenticate(event):
    """The account and the id of the request's API key."""
    unauthorized = HttpError(401, "Unauthorized", "Invalid or expired API key")
    match = _KEY.fullmatch(event["headers"].get("authorization", ""))
    if match is None or not match[1].startswith(f"dk_{os.environ['DOCYARD_MODE']}_"):
        raise unauthorized
    record = get("KEY#" + hashlib.sha256(match[1].encode()).hexdigest(), "KEY")
    if record is None or "revokedAt" in record or record.get("expiresAt", "9") <= rfc3339(now()):
        raise unauthorized
    return record["account"], record["id"]


def audit(event, account, key, dock, entity_type, entity_id, at, changes, metadata, action="create"):
    """The writes of an audit entry, in the trails of its dock and of its entity."""
    entry_id = f"aud_{ULID.from_datetime(at)}"
    entity = hashlib.sha256(f"{entity_type}\0{entity_id}".encode()).hexdigest()
    http = event["requestContext"]["http"]
    entry = {
        "sk": entry_id,
        "account": account,
        "dock": dock,
        "entityType": entity_type,
        "entityId": entity_id,
        "action": action,
        "actor": key,
        "source": "api",
        "changes": json.dumps({"before": {}, "after": changes}) if changes else None,
        "metadata": json.dumps(metadata),
        "ipAddress": http.get("sourceIp"),
        "userAgent": http.get("userAgent", "")[:256],
        "createdAt": rfc3339(at),
        "ttl": math.ceil(at.timestamp()) + int(os.environ["AUDIT_RETENTION_DAYS"]) * 24 * 60 * 60,
    }
    shard = "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(entry_id[-1]) % 8
    return [
        {
            "Put": {
                "TableName": TABLE,
                "Item": to_item({"pk": pk, **entry}),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
        for pk in (f"AUDIT#{dock}#{shard}", f"AUDIT_ENTITY#{account}#{entity}")
    ]


def parse(event, checks):
    """The request's body, of which every field must pass its check: one that raises ValueError is a fault."""
    details = []
    try:
        text = event.get("body") or ""
        body = json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise HttpError(400, "Bad Request", "The request body must be a JSON object")
    values = {}
    for field in body.keys() - checks.keys():
        details.append({"field": field, "message": "is not a field of this request"})
    for field, check in checks.items():
        try:
            values[field] = check(body.get(field))
        except ValueError as error:
            details.append({"field": field, "message": str(error)})
    if details:
        raise HttpError(400, "Bad Request", "The request is invalid; see details", details=details)
    return values


def has_control_characters(text):
    return _CONTROL.search(text) is not None


def name(value):
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= 200 or has_control_characters(text):
        raise ValueError("must be 1 to 200 characters")
    return text


def endpoint(handle, status_of_success=201):
    """Turns what a handler returns, or raises, into API Gateway's form."""

    def handler(event, _context):
        request_id = event["requestContext"]["requestId"]
        begun = time.perf_counter()
        headers = {}
        try:
            status, (body, headers) = status_of_success, handle(event)
        except HttpError as error:
            status, body = error.status, error.body
        except Exception as error:  # Lambda would answer without a body
            print(json.dumps({"requestId": request_id, "fault": type(error).__name__}))
            status = 500
            body = {"statusCode": 500, "message": "Something went wrong", "error": "Internal Server Error"}
        milliseconds = (time.perf_counter() - begun) * 1000
        log = {"requestId": request_id, "route": event["routeKey"], "status": status, "milliseconds": milliseconds}
        print(json.dumps(log))
        return {
            "statusCode": status,
            "headers": {
                "content-type": "application/json; charset=utf-8",
                "cache-control": "no-store",
                "x-request-id": request_id,
                **headers,
            },
            "body": json.dumps(body),
        }

    return handler
