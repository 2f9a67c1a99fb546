"""A stock boto3 behind a pipe: one JSON request per line in, one JSON answer per line out.

{"service": "kms", "operation": "encrypt", "parameters": {...}}   a call as any application makes it, with the SDK's own retries
{"raw": {"target": "TrentService.Encrypt", "body": "...", ...}}   one HTTP request, signed by botocore and then bent as asked
{"loop": {"key": "alias/x", "seconds": 10, "attempts": 5, "timeout": 60}}   Encrypt and Decrypt in turn, every answer compared

Bytes travel as {"$bytes": "<base64>"}. Endpoint, region, credentials and trust come from the usual AWS_* variables, so
what works here works in an application.
"""
import base64
import datetime
import json
import os
import sys
import time

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.exceptions
import urllib3

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL_KMS", "")
CLIENTS = {}
# Seconds between two messages of a loop: some twenty-five a second notice every gap, and leave the machine to what is tested.
PAUSE = 0.04


def client(service, attempts=5, timeout=60):
    """attempts: tries of one call, the first included. timeout: seconds without a byte before a try is given up."""
    name = (service, attempts, timeout)
    if name not in CLIENTS:
        CLIENTS[name] = new_client(service, attempts, timeout)
    return CLIENTS[name]


def new_client(service, attempts, timeout):
    """One with no connection yet."""
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = botocore.config.Config(connect_timeout=min(timeout, 10), read_timeout=timeout, retries=retries)
    return boto3.client(service, config=config)


def decode(value):
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {key: decode(item) for key, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


def encode(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return [encode(item) for item in value] if isinstance(value, (list, tuple)) else value


def call(request):
    try:
        operation = getattr(client(request["service"]), request["operation"])
        answer = operation(**decode(request.get("parameters", {})))
        return {"ok": encode(answer)}
    except botocore.exceptions.ClientError as error:
        meta = error.response["ResponseMetadata"]
        return {
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"].get("Message", ""),
            "status": meta["HTTPStatusCode"],
            "requestId": meta.get("RequestId", ""),
        }


def raw(request):
    """Signs with the true credentials at a shifted clock, then applies the named change after signing."""
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    if request.get("target"):
        headers["X-Amz-Target"] = request["target"]
    body = request.get("body", "{}").encode()
    method, path = request.get("method", "POST"), request.get("path", "/")
    prepared = botocore.awsrequest.AWSRequest(method=method, url=ENDPOINT + path, data=body, headers=headers)
    session = boto3.session.Session()
    credentials = session.get_credentials()
    real = botocore.auth.get_current_datetime if hasattr(botocore.auth, "get_current_datetime") else None
    skew = datetime.timedelta(seconds=request.get("skew", 0))
    if real is not None:
        botocore.auth.get_current_datetime = lambda *args, **kwargs: real(*args, **kwargs) + skew
    try:
        if not request.get("unsigned"):
            botocore.auth.SigV4Auth(credentials, request.get("service", "kms"), session.region_name).add_auth(prepared)
    finally:
        if real is not None:
            botocore.auth.get_current_datetime = real
    sent = dict(prepared.headers.items())
    sent.update(request.get("after", {}))
    pool = urllib3.PoolManager(ca_certs=os.environ.get("AWS_CA_BUNDLE"))
    answer = pool.request(method, ENDPOINT + path, body=request.get("bodyAfter", body.decode()).encode(), headers=sent, retries=False)
    return {"status": answer.status, "headers": dict(answer.headers), "body": answer.data.decode(errors="replace")}


def loop(request):
    """Counts what an application would see: answers that are wrong, and calls that fail after the SDK's retries."""
    retries = request["attempts"], request["timeout"]
    kms, key, deadline = client("kms", *retries), request["key"], time.monotonic() + request["seconds"]
    seen = {"calls": 0, "wrong": 0, "failed": 0, "slowest": 0.0, "errors": []}
    number = 0
    while (started := time.monotonic()) < deadline:
        number += 1
        if request.get("reconnect") and number % request["reconnect"] == 0:
            kms = new_client("kms", *retries)
        plaintext, context = f"message {number}".encode(), {"number": str(number)}
        try:
            blob = kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext=context)["CiphertextBlob"]
            seen["calls"] += 1
            opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
            seen["calls"] += 1
            seen["wrong"] += opened != plaintext
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            seen["failed"] += 1
            seen["errors"] = (seen["errors"] + [str(error)])[-5:]
        seen["slowest"] = max(seen["slowest"], time.monotonic() - started)
        time.sleep(PAUSE)
    return seen


def answer(request):
    if "raw" in request:
        return raw(request["raw"])
    return loop(request["loop"]) if "loop" in request else call(request)


for line in sys.stdin:
    try:
        print(json.dumps(answer(json.loads(line))), flush=True)
    except Exception as error:  # the pipe must go on: a test reads this as a failure of its own
        print(json.dumps({"broken": f"{type(error).__name__}: {error}"}), flush=True)
