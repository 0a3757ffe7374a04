"""POST /v1/docks/{dockId}/recipients"""

import re
from datetime import date

from ulid import ULID

from http_api import (
    TABLE,
    HttpError,
    audit,
    authenticate,
    dynamodb,
    endpoint,
    from_item,
    get,
    has_control_characters,
    name,
    not_found,
    now,
    parse,
    rfc3339,
    to_item,
)

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})+")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_RULES = {
    "nda_hash": re.compile(r"(sha256:)?[0-9a-fA-F]{64}"),
    "phone": re.compile(r"\+[0-9][0-9 .()-]*[0-9]"),
}
CLASSES = ("mortgagee", "agent", "policyholder", "auditor")


def email(value):
    address = value.strip().lower() if isinstance(value, str) else ""
    if len(address) > 254 or address.find("@") > 64 or not _EMAIL.fullmatch(address):
        raise ValueError("must be a valid email address")
    return address


def stakeholder_class(value):
    if value is not None and value not in CLASSES:
        raise ValueError("must be one of " + ", ".join(CLASSES))
    return value


def is_identifier(key, value):
    if not _KEY.fullmatch(key) or not isinstance(value, str):
        return False
    if not 1 <= len(value) <= 512 or has_control_characters(value):
        return False
    if key == "date_of_birth":
        return date.fromisoformat(value) <= now().date()
    return key not in _RULES or _RULES[key].fullmatch(value) is not None


def identifiers(value):
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > 50 or not all(is_identifier(*entry) for entry in value.items()):
        raise ValueError("must be an object of at most 50 identifiers")
    return value


CHECKS = {
    "name": name,
    "email": email,
    "stakeholderClass": stakeholder_class,
    "identifiers": identifiers,
}


def put(item):
    return {
        "Put": {
            "TableName": TABLE,
            "Item": to_item(item),
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


@endpoint
def handler(event):
    dock_id = event["pathParameters"]["dockId"]
    account, key = authenticate(event)
    values = parse(event, CHECKS)
    dock = get(f"DOCK#{dock_id}", "DOCK")
    if dock is None or dock["account"] != account:
        raise not_found("Dock")

    recipient_id = f"rcp_{ULID()}"
    at = now()
    recipient = {"id": recipient_id, **values, "createdAt": rfc3339(at)}
    changes = values["stakeholderClass"] and {"stakeholderClass": values["stakeholderClass"]}
    personal = ["email", *(f"identifiers.{identifier}" for identifier in values["identifiers"]), "name"]
    metadata = {"personalFieldsChanged": personal}
    place = {"dock": dock_id, "account": account}
    sort_key = f"RECIPIENT#{values['email']}"
    try:
        dynamodb.transact_write_items(
            ClientRequestToken=recipient_id,
            TransactItems=[
                put({"pk": f"DOCK#{dock_id}", "sk": sort_key, **recipient, **place, "version": 0}),
                put({"pk": f"RECIPIENT#{recipient_id}", "sk": "RECIPIENT", **place, "email": values["email"]}),
                *audit(event, account, key, dock_id, "recipient", recipient_id, at, changes, metadata),
            ],
        )
    except dynamodb.exceptions.TransactionCanceledException as error:
        holder = error.response["CancellationReasons"][0]
        if holder["Code"] != "ConditionalCheckFailed":
            raise
        message = "Another recipient of this dock has this email"
        raise HttpError(409, "Conflict", message, recipientId=from_item(holder["Item"])["id"]) from error
    body = {**recipient, "dockId": dock_id}
    return body, {"location": f"/v1/docks/{dock_id}/recipients/{recipient_id}"}
