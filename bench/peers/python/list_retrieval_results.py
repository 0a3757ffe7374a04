"""GET /v1/retrieval/jobs/{jobId}/results, for an account"""

import hashlib
import json
import math
import secrets
from datetime import datetime, timedelta

from http_api import (
    TABLE,
    HttpError,
    audit,
    authenticate,
    dynamodb,
    endpoint,
    from_item,
    get,
    not_found,
    now,
    rfc3339,
    to_item,
)

NOT_FOUND = {"code": "not_found", "message": "There is no such artifact, or it is not granted"}


def query(pk, first, last):
    answer = dynamodb.query(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :from AND :to",
        ExpressionAttributeValues=to_item({":pk": pk, ":from": first, ":to": last}),
    )
    return [from_item(item) for item in answer["Items"]]


def batch_get(keys):
    items = []
    for at in range(0, len(keys), 100):
        pending = [to_item({"pk": pk, "sk": sk}) for pk, sk in keys[at : at + 100]]
        while pending:
            request = {TABLE: {"Keys": pending, "ConsistentRead": True}}
            answer = dynamodb.batch_get_item(RequestItems=request)
            items += [from_item(item) for item in answer["Responses"][TABLE]]
            pending = answer.get("UnprocessedKeys", {}).get(TABLE, {}).get("Keys")
    return items


def grants(policy, recipient, groups, metadata=None):
    """Whether a policy grants a recipient an artifact. Factors are the account's matter."""
    audience, recipe = policy["audience"], policy["recipe"]
    if audience != "Everyone" and not any(group in groups for group in audience["Groups"]):
        return False
    if recipe["stakeholderClass"] != recipient.get("stakeholderClass"):
        return False
    if metadata is None:
        return True
    if metadata.get("document_type") not in recipe["artifactTypes"]:
        return False
    identifiers = recipient.get("identifiers", {})
    keys = recipe["match"]["identifiers"]
    return all(key in identifiers and metadata.get(key) == identifiers[key] for key in keys)


def handle(event):
    job_id = event["pathParameters"]["jobId"]
    account, key = authenticate(event)
    stored = get(f"JOB#{job_id}", "JOB")
    job = stored and json.loads(stored["job"])
    if job is None or job["account"] != account:
        raise not_found("Job")
    if job["status"] != "COMPLETED":
        raise HttpError(400, "Bad Request", "This job is not completed")
    at = now()
    job_ends = datetime.fromisoformat(job["endedAt"].replace("Z", "+00:00")) + timedelta(hours=24)
    if at >= job_ends:
        raise HttpError(410, "Gone", "The results of this job are gone after 24 hours")
    page = get(f"JOB#{job_id}", "PAGE#0000") or {"ready": ""}
    ready = [page["ready"][at : at + 30] for at in range(0, len(page["ready"]), 30)]

    dock, recipient_id = job["dock"], job["recipient"]
    active = query(f"RECIPIENT#{recipient_id}", "CERTIFICATE#", "SECRET#~")
    forbidden = HttpError(403, "Forbidden", "No policy lets this recipient in")
    pointer = next((item for item in active if item["sk"] == "RECIPIENT"), None)
    if pointer is None:
        raise forbidden
    recipient = get(f"DOCK#{dock}", f"RECIPIENT#{pointer['email']}")
    if recipient is None or recipient["id"] != recipient_id:
        raise forbidden
    groups = batch_get([(f"GROUPS#{dock}", item["sk"]) for item in active if item["sk"].startswith("GROUP#")])
    groups = {group["id"] for group in groups}
    in_force = f"IN_FORCE#{pointer.get('stakeholderClass')}#"
    policies = []
    for item in query(f"POLICIES#{dock}", in_force, in_force + "~"):
        production = json.loads(item["stages"]).get("production")
        if production:
            recipe = production["revision"]["recipe"]
            policies.append({"audience": json.loads(item["audience"]), "recipe": recipe})
    policies = [policy for policy in policies if grants(policy, recipient, groups)]
    if not policies:
        raise forbidden
    artifacts = {item["id"]: item for item in batch_get([(f"ARTIFACT#{id}", "ARTIFACT") for id in ready])}

    ticket = f"dk_tkt_{secrets.token_urlsafe(32)}"
    expires_at = min(at + timedelta(hours=1), job_ends)
    base = f"https://{event['requestContext']['domainName']}/v1/retrieval/jobs/{job_id}/artifacts"
    items = []
    for artifact_id in ready:
        artifact = artifacts.get(artifact_id, {})
        is_there = artifact.get("dock") == dock and "availableAt" in artifact
        granted = is_there and any(grants(policy, recipient, groups, artifact["metadata"]) for policy in policies)
        if not granted:
            items.append({"artifactId": artifact_id, "error": NOT_FOUND})
            continue
        items.append(
            {
                "artifactId": artifact_id,
                "filename": artifact["filename"],
                "contentType": artifact["contentType"],
                "size": int(artifact["size"]),
                "hash": artifact["hash"],
                "metadata": artifact["metadata"],
                "url": f"{base}/{artifact_id}?ticket={ticket}",
                "expiresAt": rfc3339(expires_at),
            }
        )

    record = {
        "pk": f"JOB#{job_id}",
        "sk": "TICKET#" + hashlib.sha256(ticket.encode()).hexdigest(),
        "job": job_id,
        "dock": dock,
        "account": account,
        "recipient": recipient_id,
        "method": job["method"],
        "page": 0,
        "from": 0,
        "to": len(ready),
        "expiresAt": rfc3339(expires_at),
        "ttl": math.ceil(expires_at.timestamp()),
    }
    metadata = {"recipientId": recipient_id, "links": sum("url" in item for item in items)}
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": to_item(record),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            *audit(event, account, key, dock, "retrieval-job", job_id, at, None, metadata, "retrieve"),
        ],
    )
    return {"status": job["status"], "totalCount": job["ready"] + job["errors"], "items": items}, {}


handler = endpoint(handle, status_of_success=200)
