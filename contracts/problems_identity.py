"""Refusal codes of issuers, sessions and second factors: rows of the table in problems.py."""

from typing import Final

# code | status | title | remedy
IDENTITY: Final = """\
identity.elsewhere|409|An identity of another organization|Sign in as both at issuers of one organization.
identity.linked|409|It is another person's identity|Whose it is unlinks it first.
identity.proof_invalid|403|No session that stands|Sign in as the other identity, and send that session's token.
identity.proof_old|403|A proof that is too old|Sign in anew as both identities, then link them.
identity.same|409|One identity, twice|Sign in as the other one, and send that session's token.
identity.session_required|403|Only whoever is signed in may|Sign in at an issuer of the organization; no API key, no token of the embedded issuer.
identity.unknown|404|No identity of yours|`gpuaas identity list` shows those that are.
invitation.by_key|403|A key accepts no invitations|Sign in as yourself, then accept it.
invitation.elsewhere|403|Not by this sign-in|Sign in at an issuer that the organization trusts, or as the client by which it trusts yours; then accept it.
issuer.algorithm_unknown|400|Not a signature algorithm that is believed|Name some of ES256, ES384, EdDSA, PS256, RS256.
issuer.domain_taken|409|The domain is another organization's|Leave it out, or distrust the issuer that has it first.
issuer.invalid|400|Not an issuer|Send its identifier, beginning with https://, as its discovery document has it.
issuer.unknown|404|No such issuer|Check its id and whether it is still trusted.
issuer.unreachable|503|The issuer does not answer|Repeat; ask whoever runs the issuer.
mfa.code_used|403|The code was used|Wait for the next one: each counts once.
mfa.code_wrong|403|Not a code of now|Check the clock of the device that shows it; a recovery code is used once.
mfa.enrolled|409|There is a second factor|Remove it with a code first, or ask an owner to.
mfa.locked|403|Too many wrong codes|Wait as long as Retry-After says.
mfa.not_enrolled|409|There is no second factor|`gpuaas mfa enrol`, then `gpuaas mfa confirm`.
mfa.not_here|403|Not a second factor of ours|Sign in anew at your issuer with one; use a token of the embedded issuer for this.
mfa.unreadable|409|It was enrolled under another key|Ask an owner to remove it, and enrol anew.
platform.embedded|409|An embedded stack has its operator|Sign in with the token that `gpuaas up` prints.
platform.founded|409|The platform has an operator|Ask an operator to bind you; `gpuaas found` is for a platform that nobody operates.
session.key_unknown|401|Signed with an unknown key|Sign in again; the issuer may have rotated its keys.
session.token_expired|401|The identity token is over|Sign in again.
session.token_invalid|401|Not an identity token for us|Sign in again at the issuer that your organization uses.
session.token_used|409|The identity token was used|Sign in again: each opens one session.
session.unknown|404|No such session|Check its id.
"""
