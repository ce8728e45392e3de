"""What Schemathesis has to know of Skein: who sends a request, and which requests would leave this machine.

A run is of a person with a cookie or of a program with a bearer token (SKEIN_CONTRACT_AS), and people log in by name or with passwords
(SKEIN_CONTRACT_AUTH); what only operators may do is asked for with their header in all. Each log-in and log-out has a session of its
own, since it ends the one that it is sent with. Where there are passwords, every other log-in that is meant to be valid is made that of
an account that is there: no right password is ever made up.
"""

import contextlib
import itertools
import json
import os
import urllib.error
import urllib.request

import schemathesis
from schemathesis import GenerationMode

URL = os.environ["SKEIN_CONTRACT_URL"]
WITH_PASSWORDS = os.environ["SKEIN_CONTRACT_AUTH"] == "password"
PASSWORD = "correct horse"
OPERATOR = {"Authorization": "Skein-Operator local"}


def ask(path, body, headers):
    """Posts JSON and gives the whole answer; anything but success is an exception."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers, json.load(answer)


def credentials(username):
    """What this person logs in with; the account is made if there is none."""
    if not WITH_PASSWORDS:
        return {"username": username}
    form = {"username": username, "name": "Contract", "email": "contract@example.org", "password": PASSWORD}
    with contextlib.suppress(urllib.error.HTTPError):
        ask("/api/account", form, {})
    return {"username": username, "password": PASSWORD}


def cookie(username):
    headers, _ = ask("/api/login", credentials(username), {})
    return headers["Set-Cookie"].split(";")[0].split("=", 1)


def token():
    return ask("/api/tokens", {"name": "contract", "scope": "write"}, OPERATOR)[1]["token"]


PERSON = cookie("contract")
PROGRAM = token()
NUMBERS = itertools.count()
LOG_INS = itertools.count()


@schemathesis.auth(refresh_interval=None)
class Caller:
    """Who sends a request."""

    def get(self, case, context):
        definition = context.operation.definition.raw
        if any("operator" in scheme for scheme in definition.get("security", [])):
            return OPERATOR, None
        if os.environ["SKEIN_CONTRACT_AS"] == "token":
            return {"Authorization": f"Bearer {PROGRAM}"}, None
        ends_it = definition["operationId"] in ("logIn", "logOut")
        return {}, cookie(f"contract-{next(NUMBERS)}") if ends_it else PERSON

    def set(self, case, caller, context):
        headers, session = caller
        case.headers.update(headers)
        if session:
            case.cookies[session[0]] = session[1]


@schemathesis.hook
def before_call(context, case, kwargs):
    mend_conditions(case)
    if WITH_PASSWORDS and case.operation.definition.raw["operationId"] == "logIn":
        use_an_account(case)


def use_an_account(case):
    """Every other log-in that is meant to be valid is that of an account."""
    if is_meant_to_be_valid(case) and isinstance(case.body, dict) and next(LOG_INS) % 2 == 0:
        case.body.update(credentials("contract"))


def is_meant_to_be_valid(case):
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def mend_conditions(case):
    """The coverage phase fills optional headers with a bare 0, also where their pattern wants quotes, and calls the request valid."""
    if is_meant_to_be_valid(case):
        for name in ("If-Match", "If-None-Match"):
            if str(case.headers.get(name)) == "0":
                case.headers[name] = '"0"'


@schemathesis.hook.apply_to(operation_id="addWorker")
def filter_body(context, body):
    """A worker that is added is dialled, and no test may dial another machine."""
    address = body.get("address") if isinstance(body, dict) else None
    return not isinstance(address, str) or address.startswith("127.0.0.1:")
