"""A secret from enrolment to deletion, by the client that openapi-generator writes for Python."""

import os

from openapi_client import (
    ApiClient,
    Configuration,
    CreateDock,
    CreateRecipient,
    DocksApi,
    ErrorBody,
    GenerateSecret,
    HealthApi,
    RecipientsApi,
    RotateSecret,
    SecretsApi,
    SecretStatus,
    StakeholderClass,
    UpdateDock,
    UpdateRecipient,
    VerifySecret,
)
from openapi_client.exceptions import ApiException, ConflictException, NotFoundException

client = ApiClient(Configuration(host=os.environ["DOCYARD_URL"], access_token=os.environ["DOCYARD_API_KEY"]))
docks, recipients, secrets = DocksApi(client), RecipientsApi(client), SecretsApi(client)

assert HealthApi(client).get_health().status == "ok"

# The API takes white space around a text, and an Idempotency-Key in quotes.
dock = docks.create_dock(CreateDock(name=" Título \n", domain="claims.example"), idempotency_key='"openapi-generator"')
assert (dock.name, dock.domain, dock.legal_name) == ("Título", "claims.example", None), dock
assert docks.get_dock(dock.id) == dock
assert dock in docks.list_docks(limit=10)
dock = docks.update_dock(dock.id, UpdateDock(domain=None, legal_name="Título, S.A."))
assert (dock.name, dock.domain, dock.legal_name) == ("Título", None, "Título, S.A."), dock

identifiers = {"lender_id": "LND-4821", "phone": "+1-860-555-0147", "date_of_birth": "1980-02-29"}
create = CreateRecipient(
    name="Bulk",
    email=" Bulk@claims.example\n",
    stakeholder_class=StakeholderClass.MORTGAGEE,
    identifiers=identifiers,
)
recipient = recipients.create_recipient(dock.id, create)
assert (recipient.email, recipient.identifiers) == ("bulk@claims.example", identifiers), recipient
assert recipients.list_recipients(dock.id) == [recipient]
assert recipients.list_recipients(dock.id, email="bulk@claims.example") == [recipient]
assert recipients.get_recipient(dock.id, recipient.id) == recipient
try:
    recipients.create_recipient(dock.id, create)
    raise AssertionError("a second recipient has the email")
except ConflictException as conflict:
    assert isinstance(conflict.data, ErrorBody) and conflict.data.recipient_id == recipient.id, conflict
changed = recipients.update_recipient(dock.id, recipient.id, UpdateRecipient(stakeholder_class=None))
assert (changed.stakeholder_class, changed.identifiers) == (None, identifiers), changed
assert changed.updated_at >= changed.created_at

version = recipients.get_recipient_with_http_info(dock.id, recipient.id).headers["etag"]
try:
    recipients.update_recipient(dock.id, recipient.id, UpdateRecipient(name="Late"), if_match='"0"')
    raise AssertionError("another state was changed")
except ApiException as outdated:
    assert outdated.status == 412 and isinstance(outdated.data, ErrorBody), outdated
recipients.update_recipient(dock.id, recipient.id, UpdateRecipient(name="In time"), if_match=version)
without = recipients.update_recipient(dock.id, recipient.id, UpdateRecipient(identifiers={"phone": None}))
assert without.identifiers.keys() == {"lender_id", "date_of_birth"}, without
sent_back = UpdateRecipient.from_dict(without.to_dict())
assert recipients.update_recipient(dock.id, recipient.id, sent_back) == without

generated = secrets.generate_secret(recipient.id, GenerateSecret(name="Passphrase", expires_in_days=90))
value = VerifySecret(secret=generated.secret)
assert secrets.verify_secret(recipient.id, value).secret_id == generated.id
rotated = secrets.rotate_secret(recipient.id, generated.id)
assert not secrets.verify_secret(recipient.id, value).valid
statuses = {secret.id: secret.status for secret in secrets.list_secrets(recipient.id)}
assert statuses == {rotated.id: SecretStatus.ACTIVE, generated.id: SecretStatus.ROTATED}, statuses
overlapping = secrets.rotate_secret(recipient.id, rotated.id, rotate_secret=RotateSecret(grace_hours=24))
for secret in (rotated, overlapping):
    assert secrets.verify_secret(recipient.id, VerifySecret(secret=secret.secret)).secret_id == secret.id
in_grace = secrets.get_secret(recipient.id, rotated.id)
assert (in_grace.status, in_grace.rotated_to) == (SecretStatus.ACTIVE, overlapping.id), in_grace
assert secrets.revoke_secret(recipient.id, rotated.id).success
verification = secrets.verify_secret(recipient.id, VerifySecret(secret=rotated.secret))
assert (verification.valid, verification.secret_id) == (False, None), verification

assert recipients.delete_recipient(dock.id, recipient.id).success
try:
    recipients.get_recipient(dock.id, recipient.id)
    raise AssertionError("the recipient is still there")
except NotFoundException as missing:
    assert isinstance(missing.data, ErrorBody) and missing.data.message == "Recipient not found", missing
