"""Registers a lender with `docyard dev`, with a passphrase and a certificate, and puts a template in force that grants it documents:
for both, or for the factors that are the arguments. Prints what it authenticates with, as a shell reads it."""

import os
import sys
from pathlib import Path

import requests

api = requests.Session()
api.trust_env = False  # a proxy of the environment is not for this server
api.headers["Authorization"] = f"Bearer {os.environ['DOCYARD_API_KEY']}"


def ask(method, path, **body):
    response = api.request(method, os.environ["DOCYARD_URL"] + path, json=body or None)
    assert response.ok, f"{path}: {response.status_code}"
    return response.json()


dock = f"/v1/docks/{os.environ['DOCYARD_DOCK_ID']}"
recipes = {template["id"]: template["recipe"] for template in ask("GET", "/v1/policy-templates")}
recipe = recipes["tpl_mortgagee_bulk"]
if sys.argv[1:]:
    recipe["auth"] = {"factors": sys.argv[1:]}
policy = ask("POST", f"{dock}/policies", name="Bulk", recipe=recipe)["id"]
ask("POST", f"{dock}/policies/{policy}/publish", stage="production", version=1)
lender = {"name": "Lender", "email": "bulk@lender.example", "stakeholderClass": "mortgagee"}
recipient = ask("POST", f"{dock}/recipients", **lender, identifiers={"lender_id": "LND-4821"})["id"]
certificate = Path(os.environ["DOCYARD_TLS_DIR"], "client.pem").read_text()
ask("POST", f"/v1/recipients/{recipient}/certificates", name="Certificate", certificate=certificate)
passphrase = ask("POST", f"/v1/recipients/{recipient}/secrets", name="Passphrase")["secret"]
print(f"DOCYARD_CLIENT_ID={recipient}\nDOCYARD_CLIENT_SECRET={passphrase}")
