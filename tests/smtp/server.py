"""A mail server (aiosmtpd) that prints what it was told: its port, then a line of JSON for each login and each message.

server.py starttls|implicit|none [CERTIFICATE KEY] [--only MECHANISM]

Recipients `later@…` and `full@…` get 451 and 452, `never@…` gets 550. It ends when its standard input does.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"alice", b"p4ssword-of-alice"


def tell(**what):
    print(json.dumps(what), flush=True)


def is_secure(server):
    return server.transport.get_extra_info("cipher") is not None


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refusals = {
            "later": "451 4.3.0 try again",
            "full": "452 4.2.2 mailbox full",
            "never": "550 5.1.1 no such user",
        }
        local = address.split("@")[0]
        if local in refusals:
            return refusals[local]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        tell(
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            tls=is_secure(server),
            login=bool(session.authenticated),
            headers={name: str(value) for name, value in message.items()},
            defects=[str(defect) for value in (message, *message.values()) for defect in value.defects],
            body=message.get_content(),
        )
        return "250 2.0.0 taken"


def authenticator(server, session, envelope, mechanism, data):
    well = (data.login, data.password) == (USER, PASSWORD)
    tell(mechanism=mechanism, tls=is_secure(server), well=well)
    return AuthResult(success=well, handled=well)


async def main():
    args = argparse.ArgumentParser()
    args.add_argument("tls", choices=["starttls", "implicit", "none"])
    args.add_argument("certificate", nargs="*")
    args.add_argument("--only")
    args = args.parse_args()
    context = None
    if args.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.certificate)
    loop = asyncio.get_running_loop()

    def protocol():
        # A login without TLS is not refused, so that one is seen.
        return SMTP(
            Handler(),
            hostname="mail.example",
            tls_context=context if args.tls == "starttls" else None,
            auth_require_tls=False,
            authenticator=authenticator,
            auth_exclude_mechanism={"PLAIN", "LOGIN"} - {args.only} if args.only else None,
            loop=loop,
        )

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if args.tls == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


logging.disable(logging.CRITICAL)
asyncio.run(main())
