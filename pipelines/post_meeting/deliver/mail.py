"""Minutes by mail: a message with the summary, the minutes attached; one try a call.

SMTP can't tell a repetition from a new message, so a mail is delivered at least once: the
Message-ID is the same for every attempt, which mail programs and servers use to show one of
several. Whoever has accepted it in one attempt is left out of the next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import localtime
from typing import Final

import aiosmtplib
from pydantic import SecretStr

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.deliver.destination import Destination, Mailbox, mailbox_of
from pipelines.post_meeting.deliver.parcel import Parcel
from pipelines.post_meeting.deliver.sender import PartlyRefusedError, PartlySentError, Sent
from pipelines.post_meeting.minutes.formats import MEDIA_TYPES
from pipelines.post_meeting.minutes.outline import title_of
from pipelines.post_meeting.minutes.words import words_of

_ATTACHED: Final = ("minutes.docx", "minutes.html", "minutes.md")
_PERMANENT: Final = 500
"""From here on an SMTP answer won't change by itself (RFC 5321, section 4.2.1)."""


class MailSender:
    """Mails minutes to the recipients of ``destination``.

    Args:
        destination: The server, the sender and who gets it.
        password: Of the account, where the address has a user.
        timeout: Seconds that the server may take for one answer.
    """

    def __init__(self, destination: Destination, password: SecretStr, *, timeout: float) -> None:
        self._destination = destination
        self._mailbox = mailbox_of(destination)
        self._password = password
        self._timeout = timeout

    async def send(self, parcel: Parcel, *, key: str, reached: Collection[str]) -> Sent:
        """Mail the minutes to those who don't have them; see ``Sender.send``."""
        box = self._mailbox
        rest = [one for one in box.to if one not in reached]
        if not rest:  # Whoever had refused it is no longer in the settings.
            return Sent("accepted before")
        message = build_message(parcel, box, key=key)
        client = aiosmtplib.SMTP(
            hostname=box.host,
            port=box.port,
            use_tls=box.tls,
            # A password never goes out in plain text.
            start_tls=False if box.tls else (True if box.user else None),
            username=box.user or None,
            password=self._password.get_secret_value() or None,
            timeout=self._timeout,
        )
        try:
            async with client:
                answers, _ = await client.send_message(message, sender=box.sender, recipients=rest)
                refused = {recipient: answer.code for recipient, answer in answers.items()}
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = {one.recipient: one.code for one in error.recipients}
        except aiosmtplib.SMTPResponseException as error:
            # Not its text: a server may quote what it was sent.
            what = f"{self._destination} answered {error.code} ({type(error).__name__})"
            if error.code >= _PERMANENT:
                raise StepError("destination_refused", what) from None
            raise RetryableError("destination_failed", what) from None
        except aiosmtplib.SMTPNotSupported:
            what = f"{self._destination} lacks STARTTLS, a way to log in or SMTPUTF8"
            raise StepError("destination_refused", what) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            what = f"{self._destination} can't be reached: {type(error).__name__}"
            raise RetryableError("destination_unreachable", what) from None
        return self._sent(rest, refused)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _sent(self, asked: Sequence[str], refused: Mapping[str, int]) -> Sent:
        accepted = tuple(one for one in asked if one not in refused)
        later = sum(code < _PERMANENT for code in refused.values())
        if later:
            what = f"{self._destination} does not take it yet for {later} of {len(asked)}"
            raise PartlySentError(what, accepted)
        if refused:
            what = f"{self._destination} refuses {len(refused)} of {len(asked)} recipients"
            raise PartlyRefusedError(what, accepted)
        return Sent(f"accepted for {len(accepted)}", accepted)


def build_message(parcel: Parcel, mailbox: Mailbox, *, key: str) -> EmailMessage:
    """Return the mail: the summary as text, the minutes as HTML, and both attached.

    Args:
        parcel: The minutes.
        mailbox: Who it is from and for.
        key: What makes the Message-ID.
    """
    document = parcel.document
    words = words_of(parcel.summary.language)
    day = f" ({document.started_at[:10]})" if document.started_at else ""
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = mailbox.sender
    message["To"] = ", ".join(mailbox.to)
    message["Subject"] = f"{words.minutes}: {title_of(document)}{day}"
    message["Date"] = localtime()
    message["Message-ID"] = f"<{key}@{mailbox.sender.rpartition('@')[2]}>"
    # RFC 3834: nobody's holiday notice answers it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(parcel.files["summary.md"].decode())
    message.add_alternative(parcel.files["minutes.html"].decode(), subtype="html")
    for name in _ATTACHED:
        media_type, _, _ = MEDIA_TYPES[name.rpartition(".")[2]].partition(";")
        main, _, sub = media_type.partition("/")
        message.add_attachment(parcel.files[name], maintype=main, subtype=sub, filename=name)
    return message
