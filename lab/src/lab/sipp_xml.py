"""The vocabulary of SIPp scenarios: messages, waits and branches as pieces of XML."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

_SAME_DIALOG = """\
[last_Via:]
[last_From:]
[last_To:];tag=[pid]callee[call_number]
[last_Call-ID:]
[last_CSeq:]"""

_SDP = """\
v=0
o=phone 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20"""
_BOTH_WAYS = f"{_SDP}\na=sendrecv"
_ONLY_SENDING = f"{_SDP}\na=sendonly"

CONTACT = "<sip:phone@[local_ip]:[local_port];transport=[transport]>"


def scenario(name: str, *steps: str) -> str:
    """Put the steps together to a scenario file."""
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name={quoteattr(name)}>'
    return "\n".join((head, *steps, "</scenario>\n"))


def send(
    message: str, *, retransmit: bool = False, starts: str = "", acknowledges: str = ""
) -> str:
    """Send a message; `retransmit` repeats it over UDP until it is answered (T1 500 ms).

    `starts` names its transaction; `acknowledges` is that of the answer which an ACK confirms.
    """
    attributes = ' retrans="500"' if retransmit else ""
    attributes += f" start_txn={quoteattr(starts)}" if starts else ""
    attributes += f" ack_txn={quoteattr(acknowledges)}" if acknowledges else ""
    return f"<send{attributes}><![CDATA[\n\n{message}\n\n]]></send>"


def response(status: int, reason: str) -> str:
    """Answer the request that came last, without a body."""
    return f"SIP/2.0 {status} {reason}\n{_SAME_DIALOG}\nContact: {CONTACT}\nContent-Length: 0"


def plain_ok() -> str:
    """Answer a request inside the dialog (its To already has our tag)."""
    return (
        "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n"
        "Content-Length: 0"
    )


def answer(status: str = "200 OK", *, deaf: bool = False, replayed: bool = False) -> str:
    """Answer the call, or promise to (183), with audio from this call's RTP port.

    What is `replayed` comes from SIPp's one port for captures.
    """
    sdp = _ONLY_SENDING if deaf else _BOTH_WAYS
    sdp = sdp.replace("[rtpstream_audio_port]", "[media_port]") if replayed else sdp
    return (
        f"SIP/2.0 {status}\n{_SAME_DIALOG}\nContact: {CONTACT}\n"
        f"Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp}"
    )


def request_terminated() -> str:
    """Answer the INVITE that was cancelled; the CANCEL came last, so its CSeq is replaced."""
    return (
        "SIP/2.0 487 Request Terminated\n[last_Via:]\n[last_From:]\n"
        "[last_To:];tag=[pid]callee[call_number]\n[last_Call-ID:]\n"
        "CSeq:[$invite_number] INVITE\nContent-Length: 0"
    )


def bye() -> str:
    """Hang up as the called side."""
    return f"{_from_called_side('BYE', 2)}\nContent-Length: 0"


def reinvite() -> str:
    """Ask for the same audio again, as the called side in mid-call."""
    return (
        f"{_from_called_side('INVITE', 1)}\nContact: {CONTACT}\n"
        f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_BOTH_WAYS}"
    )


def reinvite_ack() -> str:
    """Confirm the answer to a `reinvite`."""
    return f"{_from_called_side('ACK', 1)}\nContent-Length: 0"


def _from_called_side(method: str, sequence: int) -> str:
    """Begin a request of the called side: From and To change places against the INVITE."""
    return (
        f"{method} [$peer] SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        "From:[$called];tag=[pid]callee[call_number]\nTo:[$calling]\n"
        f"Call-ID: [call_id]\nCSeq: {sequence} {method}\nMax-Forwards: 70"
    )


def invite(number: str, caller: str) -> str:
    """Call `number` as `caller`, with audio from this call's RTP port."""
    return (
        f"INVITE sip:{number}@[remote_ip]:[remote_port] SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        f"From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]caller[call_number]\n"
        f"To: <sip:{number}@[remote_ip]:[remote_port]>\n"
        f"Call-ID: [call_id]\nCSeq: 1 INVITE\nContact: {CONTACT}\nMax-Forwards: 70\n"
        f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_BOTH_WAYS}"
    )


def cancel(number: str, caller: str) -> str:
    """Take back an `invite` that has not been answered."""
    return _like_the_invite("CANCEL", number, caller)


def refusal_ack(number: str, caller: str) -> str:
    """Confirm that an `invite` was refused, or was taken back."""
    return _like_the_invite("ACK", number, caller)


def _like_the_invite(method: str, number: str, caller: str) -> str:
    """Render a request of the `invite`'s own transaction, whose branch was remembered."""
    tag = "[peer_tag_param]" if method == "ACK" else ""
    return (
        f"{method} sip:{number}@[remote_ip]:[remote_port] SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];[$invite_branch]\n"
        f"From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]caller[call_number]\n"
        f"To: <sip:{number}@[remote_ip]:[remote_port]>{tag}\n"
        f"Call-ID: [call_id]\nCSeq: 1 {method}\nMax-Forwards: 70\nContent-Length: 0"
    )


def within_call(method: str, number: str, caller: str, sequence: int) -> str:
    """Render a request of the calling side inside its dialog (ACK, BYE)."""
    return (
        f"{method} [next_url] SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        f"From: <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]caller[call_number]\n"
        f"To: <sip:{number}@[remote_ip]:[remote_port]>[peer_tag_param]\n"
        f"Call-ID: [call_id]\nCSeq: {sequence} {method}\nMax-Forwards: 70\nContent-Length: 0"
    )


def receive(request: str, *, optional: bool = False, then: str = "", actions: str = "") -> str:
    """Wait for a request; `then` is the label to go on at."""
    attributes = f"request={quoteattr(request)}"
    attributes += ' optional="true"' if optional else ""
    attributes += f" next={quoteattr(then)}" if then else ""
    return f"<recv {attributes}>{_action(actions)}</recv>"


def receive_within(request: str, within_ms: int, *, then: str, otherwise: str) -> str:
    """Wait for a request; go on at `otherwise` when it has not come after `within_ms`."""
    return (
        f'<recv request={quoteattr(request)} timeout="{within_ms}" '
        f"ontimeout={quoteattr(otherwise)} next={quoteattr(then)}/>"
    )


def pause(length_ms: int) -> str:
    """Do nothing for a while."""
    return f'<pause milliseconds="{length_ms}"/>'


def receive_status(
    status: int,
    *,
    optional: bool = False,
    keep_route: bool = False,
    of: str = "",
    then: str = "",
    actions: str = "",
) -> str:
    """Wait for a response; `keep_route` remembers the peer's address for later requests.

    `of` names its transaction, `then` the label to go on at.
    """
    attributes = f'response="{status}"'
    attributes += ' optional="true"' if optional else ""
    attributes += ' rrs="true"' if keep_route else ""
    attributes += f" response_txn={quoteattr(of)}" if of else ""
    attributes += f" next={quoteattr(then)}" if then else ""
    return f"<recv {attributes}>{_action(actions)}</recv>"


def find(pattern: str, variable: str, *, header: str = "") -> str:
    """Look for a pattern in the whole message or in one header; sets `variable` when found."""
    place = f'search_in="hdr" header={quoteattr(header)}' if header else 'search_in="msg"'
    return (
        f"<ereg regexp={quoteattr(pattern)} {place} check_it={quoteattr('false')} "
        f"assign_to={quoteattr(variable)}/>"
    )


def stream(track: str) -> str:
    """Send a raw A-law file as RTP, once."""
    what = quoteattr(f"{track},1,8,PCMA/8000")
    return f"<nop>{_action(f'<exec rtp_stream={what}/>')}</nop>"


def replay(capture: str) -> str:
    """Send the packets of a capture, once."""
    return f"<nop>{_action(f'<exec play_pcap_audio={quoteattr(capture)}/>')}</nop>"


def branch(label: str, *, if_set: str = "") -> str:
    """Go on at the label, always or when the variable was set."""
    condition = f" test={quoteattr(if_set)}" if if_set else ""
    return f"<nop next={quoteattr(label)}{condition}/>"


def label(name: str) -> str:
    """Name the place of the next step."""
    return f"<label id={quoteattr(name)}/>"


def _action(actions: str) -> str:
    return f"<action>{actions}</action>" if actions else ""
