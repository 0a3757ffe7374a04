"""A secret from enrolment to deletion, by the client that openapi-python-client writes."""

import os

from docyard_access_client import AuthenticatedClient
from docyard_access_client.api.docks import create_dock, get_dock, list_docks, update_dock
from docyard_access_client.api.health import get_health
from docyard_access_client.api.recipients import (
    create_recipient,
    delete_recipient,
    get_recipient,
    list_recipients,
    update_recipient,
)
from docyard_access_client.api.secrets import (
    generate_secret,
    get_secret,
    list_secrets,
    revoke_secret,
    rotate_secret,
    verify_secret,
)
from docyard_access_client.models import (
    CreateDock,
    CreateRecipient,
    ErrorBody,
    GenerateSecret,
    Identifiers,
    RotateSecret,
    SecretStatus,
    StakeholderClass,
    UpdateDock,
    UpdateRecipient,
    VerifySecret,
)

client = AuthenticatedClient(
    os.environ["DOCYARD_URL"], os.environ["DOCYARD_API_KEY"], raise_on_unexpected_status=True
)

assert get_health.sync(client=client).status == "ok"

# The API takes white space around a text, and an Idempotency-Key in quotes.
dock = create_dock.sync(
    client=client,
    body=CreateDock(name=" Título \n", domain="claims.example"),
    idempotency_key='"openapi-python-client"',
)
assert (dock.name, dock.domain, dock.legal_name) == ("Título", "claims.example", None), dock
assert get_dock.sync(dock.id, client=client) == dock
assert dock in list_docks.sync(client=client, limit=10)
dock = update_dock.sync(dock.id, client=client, body=UpdateDock(domain=None, legal_name="Título, S.A."))
assert (dock.name, dock.domain, dock.legal_name) == ("Título", None, "Título, S.A."), dock

identifiers = Identifiers.from_dict({"lender_id": "LND-4821", "phone": "+1-860-555-0147", "date_of_birth": "1980-02-29"})
create = CreateRecipient(
    name="Bulk",
    email=" Bulk@claims.example\n",
    stakeholder_class=StakeholderClass.MORTGAGEE,
    identifiers=identifiers,
)
recipient = create_recipient.sync(dock.id, client=client, body=create)
assert (recipient.email, recipient.identifiers) == ("bulk@claims.example", identifiers), recipient
assert list_recipients.sync(dock.id, client=client) == [recipient]
assert list_recipients.sync(dock.id, client=client, email="bulk@claims.example") == [recipient]
assert get_recipient.sync(dock.id, recipient.id, client=client) == recipient
conflict = create_recipient.sync(dock.id, client=client, body=create)
assert isinstance(conflict, ErrorBody) and conflict.recipient_id == recipient.id, conflict
changed = update_recipient.sync(dock.id, recipient.id, client=client, body=UpdateRecipient(stakeholder_class=None))
assert (changed.stakeholder_class, changed.identifiers) == (None, identifiers), changed
assert changed.updated_at >= changed.created_at

version = get_recipient.sync_detailed(dock.id, recipient.id, client=client).headers["etag"]
late = update_recipient.sync(dock.id, recipient.id, client=client, body=UpdateRecipient(name="Late"), if_match='"0"')
assert isinstance(late, ErrorBody) and late.status_code == 412, late
in_time = UpdateRecipient(name="In time")
assert update_recipient.sync(dock.id, recipient.id, client=client, body=in_time, if_match=version).name == "In time"

changes = UpdateRecipient.from_dict({"identifiers": {"phone": None}})
without = update_recipient.sync(dock.id, recipient.id, client=client, body=changes)
assert without.identifiers.to_dict().keys() == {"lender_id", "date_of_birth"}, without
sent_back = UpdateRecipient.from_dict(without.to_dict())
assert update_recipient.sync(dock.id, recipient.id, client=client, body=sent_back) == without

generated = generate_secret.sync(
    recipient.id, client=client, body=GenerateSecret(name="Passphrase", expires_in_days=90)
)
value = VerifySecret(secret=generated.secret)
assert verify_secret.sync(recipient.id, client=client, body=value).secret_id == generated.id
rotated = rotate_secret.sync(recipient.id, generated.id, client=client)
assert not verify_secret.sync(recipient.id, client=client, body=value).valid
statuses = {secret.id: secret.status for secret in list_secrets.sync(recipient.id, client=client)}
assert statuses == {rotated.id: SecretStatus.ACTIVE, generated.id: SecretStatus.ROTATED}, statuses
grace = RotateSecret(grace_hours=24)
overlapping = rotate_secret.sync(recipient.id, rotated.id, client=client, body=grace)
for secret in (rotated, overlapping):
    presented = VerifySecret(secret=secret.secret)
    assert verify_secret.sync(recipient.id, client=client, body=presented).secret_id == secret.id
in_grace = get_secret.sync(recipient.id, rotated.id, client=client)
assert (in_grace.status, in_grace.rotated_to) == (SecretStatus.ACTIVE, overlapping.id), in_grace
assert revoke_secret.sync(recipient.id, rotated.id, client=client).success
verification = verify_secret.sync(recipient.id, client=client, body=VerifySecret(secret=rotated.secret))
assert (verification.valid, verification.secret_id) == (False, None), verification

assert delete_recipient.sync(dock.id, recipient.id, client=client).success
missing = get_recipient.sync(dock.id, recipient.id, client=client)
assert isinstance(missing, ErrorBody) and missing.message == "Recipient not found", missing
