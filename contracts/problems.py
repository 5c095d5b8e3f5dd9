"""Every refusal code: what it is called, its HTTP status, and what the caller can do about it.

The codes are permanent. Those that only a process's log or a command line shows have a status too:
what a client would be told if one of them crossed its request. `tests/unit/test_domain_problems.py`
compares this table with the codes the rooms raise.
"""

from typing import Final

from msgspec import Struct

from contracts.problems_fleet import FLEET
from contracts.problems_identity import IDENTITY
from contracts.problems_money import MONEY


class Problem(Struct, frozen=True):
    """`remedy` is an instruction to whoever can act, one sentence."""

    title: str
    status: int
    remedy: str


# code | status | title | remedy; those of money in problems_money.py,
# of nodes and runtimes in problems_fleet.py, of sign-in in problems_identity.py
_TABLE: Final = """\
access.not_possible|409|Not possible for this grant|Read its state and send what it allows.
access.not_running|409|The runtime is not running|Launch one, or wait until it is placed.
access.port_invalid|400|Not a port|Send 1 to 65535.
access.revoked|403|The grant was revoked|Ask for a new certificate if you may still enter.
access.until_invalid|400|Not a length of a grant|Ask for at most 24 hours.
access.validity_invalid|400|Not a validity|Ask for 5 to 15 minutes.
admission.behind|503|The admission is catching up|Repeat the same command.
admission.elsewhere|503|Another process admits|Ask again; any process forwards a launch.
admission.malformed|400|Not an admission request|Report it: two releases run side by side.
admission.nothing|409|Already done|Read the runtime: what was asked is so.
admission.unavailable|503|No admission writer answers|Repeat with the same key; it runs once.
api.impostor|502|It is not the API|Name its CA in GPUAAS_CA, and an address its certificate has; else trust nobody there.
api.unreachable|502|The API does not answer|Check GPUAAS_URL and that the API runs.
api_key.by_key|403|A key makes no keys|Sign in as yourself, then create the key.
api_key.mfa_unbounded|400|It would stand for a second factor without bounds|Name its actions (not `*`), and an end within 90 days.
api_key.no_member|409|A key stands for a member|Become one (`gpuaas member invite`, then `gpuaas member accept`), or make it for a service account (`gpuaas key create NAME --for ID`).
api_key.not_possible|409|Not possible for this key|Create a new key.
api_key.principal_invalid|400|Not who a key may act as|Name a user or a service account of the organization.
api_key.too_many|409|Too many API keys|Revoke one that is not used (`gpuaas key list`); `most` is what the deployment lets an organization have.
api_key.until_invalid|400|Not an end of a key|Send a later time, or none.
app.foreign_page|403|A page of another origin|Open the app by its own address.
app.malformed|400|Not a request that is passed on|Send HTTP/1.1 with one framing, one Host and a path.
app.no_pass|401|No pass for this app|Ask the API for a pass: `Authorization: Bearer` for programs, its address for a browser.
app.ticket|403|Not a valid ticket|Ask the API for a new pass: each address enters once within 30 s.
app.unknown|404|No app of this name|Use the address that the API gave with the pass.
app.unreachable|502|The app does not answer|Start it in the runtime, on the port of the pass.
as_of.before_log|400|Before the log began|Ask for a later time or position.
as_of.in_future|400|Not reached yet|Ask for a position the log has, or leave it out.
attest.differs|400|The fact is not what was signed|Fix the agent: fields follow from the body.
attest.key_unknown|401|Not the node's key|Enrol the node again.
attest.wrong_node|403|Another node's word|Publish under the node's own subject only.
auth.expired|401|The token has expired|Get a new token.
auth.forbidden|403|Not allowed|`gpuaas why ACTION SCOPE` says what would allow it: a role, a lifted guardrail, another key or person; where that is refused too, an owner can say.
auth.invalid|401|Not a valid token|Sign in again.
auth.login_stale|403|A recent sign-in is asked for|`gpuaas login --again`, or `gpuaas mfa verify` with a token of the embedded issuer; `max_age` says how recent, in seconds.
auth.mfa_required|403|A second factor is asked for|Sign in with one: `gpuaas login --mfa`, or `gpuaas mfa verify` with a token of the embedded issuer.
auth.missing|401|No token|Send `Authorization: Bearer` and a token.
auth.sso_required|403|Sign in at the organization's issuer|`gpuaas login --issuer ID` (its id is in the facts); programs use a service account's key.
authority.founding|409|Not how an organization is founded|Make somebody of its own its owner, without condition or end; afterwards use break-glass.
authority.gone|409|It is gone|Create another one; ids are not used again.
authority.last_owner|409|The last owner, or operator|Make somebody else one without end first.
authority.locks_out|409|It would lock everybody out|Leave out `guardrail.lift`, set a condition, or a scope below.
authority.looser|403|Looser than what lets you|Give it your binding's conditions and end at most, or ask somebody who has none.
authority.network_invalid|400|Not a network|Send networks such as `10.0.0.0/8`, without host bits.
authority.of_staff|403|Of the platform's staff|Name, or sign in as, somebody of the organization; staff enters by break-glass.
authority.principal_unknown|409|Nobody of this organization|Add or invite it first.
authority.role_scope|400|Not a role for one thing|Give `member` or `viewer` for a runtime, volume or network; others for its project.
authority.role_unknown|400|Not a role that is bound there|Send one that the detail names.
authority.secret_wrong|403|No open invitation|Ask for a new invitation.
authority.sso_locks_out|409|No owner could come in another way|Exempt a member who owns the organization without condition, or lift the requirement first.
authority.too_many|409|Too many|Remove some that are not used; `most` is what the deployment lets an organization have.
authority.unknown|404|Not in this organization|List what there is.
authority.until_invalid|400|Not an end|Send a later time, or none.
beat.forged|403|Another node's heartbeat|Publish under the node's own subject only.
break_glass.duration_invalid|400|Not a length of break-glass|Ask for as many seconds as the facts allow.
break_glass.not_independent|403|One of the two made the other of the staff|Let somebody approve it whom somebody else bound to the staff.
break_glass.over|409|It is over|Ask for another one.
break_glass.same_person|403|Whose own request it is|Let another person of the staff approve it.
break_glass.ticket_invalid|400|Not a ticket|Send one word: letters, digits and `._#/:-`.
break_glass.too_new|403|Not long enough of the staff|Wait until both are so for `age_s` seconds, or let another person act.
ca.unreadable|500|No node CA|Operator: restore the file that is named.
capacity.none_fits|409|Nothing free fits|Ask for what the facts say fits, more models, or later.
certificate.foreign|401|Not this node's certificate|Prove the certificate this platform gave last.
certificate.missing|401|No client certificate|Enrol, or renew it over HTTPS; connect by tls:// with it.
checkpoint.none|503|Nothing is signed yet|Ask again after a moment.
clock.disagrees|503|The clocks disagree|Operator: bring the machine's clock in order.
command.expired|409|The order has expired|Nothing: the platform sends it anew.
command.key_unreadable|500|No command key|Operator: check the key file and its rights.
command.replayed|409|An order number was reused|Operator: two platforms command this node.
command.stale|409|An order of an old lease|Nothing: the platform sends it anew.
command.unknown|409|An order of another release|Operator: upgrade the node's agent.
command.wrong_boot|409|An order for another boot|Nothing: the platform sends it anew.
command.wrong_node|403|An order for another node|Operator: check the node's subjects.
config.malformed|500|A setting is malformed|Fix the setting that is named.
config.missing|500|A setting is missing|Set the variable that is named.
csr.malformed|400|Not a certificate request|Send PKCS #10 of an Ed25519 key, as PEM.
demo.failed|500|The demo failed|Read the sentence, and the last lines of the parts.
demo.refused|500|The platform refused a step|Read the sentence; start with an empty folder.
department.exists|409|The department exists|Read it; choose another id.
department.unknown|404|No such department|Check the id.
device.busy|409|The device is taken|Nothing: the platform places it elsewhere.
device.faulty|503|The device does not answer well|Operator: read its health; it waits in quarantine.
device.lost|503|The GPU has fallen off the bus|Operator: restart the machine, then test the device.
device.memory_left|409|Memory is left on the device|Nothing: the platform places it elsewhere; operator: it waits in quarantine.
device.mixed|409|GPUs of several models|Operator: one node has one model; use separate nodes.
device.no_node|503|A node of /dev is missing|Operator: load the driver's modules on the machine.
device.none|503|No GPU answers|Operator: check the driver on the machine.
device.not_asked|503|The device has no such thing|Nothing: this driver or device does not offer it.
device.not_suspect|409|The device is healthy|Nothing: only a suspect device is tested.
device.occupants_unknown|409|Nobody can tell who is on the device|Operator: let the agent's user see processes through NVML.
device.occupied|409|Somebody else's process is on the device|Nothing: the platform places it elsewhere; operator: it waits in quarantine.
device.reset_required|503|The GPU needs a reset|Operator: reset it; it is tested afterwards.
device.unhealthy|409|The device is ill|Nothing: the platform places it elsewhere.
device.unknown|409|No such device|Operator: enrol the node again with its real inventory.
engine.failed|503|The engine failed|Read the sentence; the keeper tries again.
engine.timeout|503|The engine does not answer|Nothing: the keeper tries again.
enrol.impostor|401|Not the platform of the token|Do not go on: somebody stands between.
enrol.not_yet|409|Something may still run there|Nothing: the agent asks again.
enrol.proof|401|The key is not proven|Sign the enrolment with the key it names.
enrol.refused|409|The enrolment was refused|Read the reason; invite the node again.
enrol.unreachable|503|The platform cannot be reached|Check the address and try again.
entry.oversized|413|Too large for one fact|Send less in one request.
entry.refused|400|Not a valid fact|Leave out control characters and out-of-range numbers.
events.too_many|429|Too many streams of events|Close one, or let one stream feed all who want to know.
export.broken|502|The export broke off|Run the same command again: it goes on where it stopped.
export.exists|409|The file exists|Name another file, or remove it.
export.no_parquet|501|No Parquet here|Ask for the CSV form, or have pyarrow installed on the server.
export.not_signed|409|Not signed yet|Ask again after a moment.
export.unknown_account|500|A ledger account without a place|Report it: the chart of accounts grew.
fact.malformed|400|Not the fact of this tag|Check the fields against contracts/facts.md.
fact.unknown_tag|400|Unknown tag|Upgrade the reader: the writer is newer.
file.changed|500|A sealed file was changed|Operator: restore it; fsck says what is damaged.
file.name|400|Not a sealed file's name|Use the name that its `file_sealed` fact says.
gateway.busy|503|Too many sessions at once|Close some, then try again.
gateway.no_route|503|No way to the runtime yet|Wait until it is usable, then try again.
gateway.not_ssh|502|Not an SSH server|Operator: look at the node; it named an address where something else answers.
gateway.second|409|Another gateway has this name|Operator: give each gateway a name of its own.
gateway.unreachable|502|The runtime does not answer|Try again; look at the runtime's state.
host_certificate.malformed|502|Not a host certificate|Operator: look at what answers in the control plane's place.
host_certificate.refused|502|No host certificate|The node asks again; read the control plane's answer.
idempotency_key.in_flight|409|Still being worked on|Repeat the same request a little later.
idempotency_key.required|400|No idempotency key|Send `Idempotency-Key`, new for each intent.
idempotency_key.reused|422|The key was used for another body|Use a new key for a new intent.
if_match.malformed|400|Not an ETag|Send If-Match as ETag gave it: "3", or *.
if_match.required|428|No `If-Match`|Send the ETag of what you decided on.
if_match.stale|412|Changed since you looked|Read again, decide again.
image.digest|409|Another image under this name|Operator: the node holds another digest; bring the right one.
image.digest_invalid|400|Not a digest|Send `sha256:` and 64 lowercase hex digits.
image.exists|409|The image exists|Register the reference again; it gets a stream of its own.
image.missing|409|The image is not there|Operator: put the image on the node, or name another.
image.refused|403|The image is not allowed here|Operator: add it to the node's list of images.
image.unknown|404|No such image|Name a registered reference, or register it.
incident.invalid|400|Not a credit|A credit is for time that was lost.
incident.resolved|409|The incident is resolved|Open another one.
incident.unknown|404|No such incident|Check the id.
ingest.not_alone|503|Another ingest runs|Operator: run one per database.
integrator.second|503|Another integrator runs|Operator: run one per storage.
integrator.storage_damaged|503|The evidence storage is damaged|Operator: run fsck, then restore.
journal.missing|409|The agent's journal is gone|Enrol the node anew.
journal.rolled_back|409|The agent's state is older than its words|Enrol the node anew.
jwt.malformed|400|Not a NATS JWT|Operator: check which nats-server asks.
launch.policy_unknown|400|No such policy|Send pack, spread or topology.
launch.region_invalid|400|Not a region|Send the name of one, as `eu-de-1`, or none.
launch.spot_reserved|409|What is reserved is nobody else's|Launch it without a reservation, or not as spot.
log.already_open|409|A log is open here|Operator: use an empty database, storage and signer folder.
log.lost|503|Positions are missing|Operator: refill them from the entry bundles.
log.no_schema|503|The database has no log|Operator: run `gpuaas migrate`.
log.not_opened|503|The log has no entry 0|Operator: run `gpuaas migrate`.
log.origin_differs|503|Another log's signer|Operator: give it the key and state of this log.
log.unavailable|503|The log cannot be reached|Repeat with the same key; it is stored once.
log.unsafe_environment|500|An unsafe setting|Operator: unset the variable that is named.
log.unsafe_server|500|The database is not durable|Operator: set what is named to what is safe.
log.unsigned_tail|503|The log's tail is not signed|Repeat later; operator: look at the signer.
log.version_stale|409|Somebody else was first|Read again, decide again.
logs.forged|403|Not an answer of the node|Operator: look at the node; somebody signs for it.
logs.unavailable|503|No logs to be had|Try again while the node is reachable; they are kept for a day.
nats.unavailable|503|NATS cannot be reached|Operator: start it, or fix the URL; then start this again.
network.deleted|409|The network is deleted|Name another network, or create one.
network.exists|409|The network exists|This stream has another network already; create a new one.
network.foreign|409|A network of another organization|Name a project of the same organization.
network.malformed|500|The node was told rubbish|A bug of the platform: report it with the refusal.
network.policy_invalid|400|Not an egress policy|Send canonical IPv4 CIDRs, tcp or udp, ports 1 to 65535.
network.unenforced|409|This node keeps no network policy|Operator: let its agent build walls (Podman, root).
network.unknown|404|No such network|Check the id and the project.
nkey.forged|401|The NATS key is not proven|Sign the server's nonce with the key you name.
nkey.malformed|400|Not a NATS user key|Send the public key that begins with U.
nkey.unknown|401|Not the node's NATS key|Renew the certificate with this key, or enrol again.
nvml.busy|503|The driver is busy|Nothing: it is asked again.
nvml.failed|503|The driver failed|Operator: read the text; check the driver on the machine.
nvml.library|400|Not an NVML library|Operator: give the absolute path of libnvidia-ml.so.1.
nvml.refused|403|The driver refuses us|Operator: run the agent as a user the driver admits.
nvml.silent|503|The driver does not answer|Operator: its devices are suspect; look at the machine.
nvml.unavailable|503|No driver|Operator: load a driver that fits the library.
operation.failed|409|It ended otherwise|Read the detail, and ask for the work again when its cause is gone.
organization.closed|403|The organization is closed|Nothing: it is closed for good; what it was billed stays readable.
organization.closing|403|The organization is being closed|Fetch your data before the dates in the facts, or ask support to withdraw the closing.
organization.dates_invalid|400|Not dates of a closing|Stop runtimes before volumes are wiped, neither before now.
organization.exists|409|The organization exists|Read it.
organization.not_possible|409|Not possible for this organization|Read its state.
organization.suspended|403|The organization is suspended|Settle what the reason says, or ask support.
organization.unknown|404|No such organization|Check the id.
organization.wiping|409|Its volumes are being wiped|Nothing: a closing is withdrawn before its wipe.
position.unknown|400|Not a log position|Send one the platform has told you.
problem.unknown|404|No such refusal|Read the list at /v1/problems.
project.department_unclear|400|Name the department|Name one of `gpuaas department list`.
project.exists|409|The project exists|Read it.
project.foreign|409|Of another organization|Use a department and account of the same one.
project.guaranteed|409|The project has guarantees|Set its shares to guarantee nothing and give up its claims; move it; set them again there.
project.unknown|404|No such project|Check the id and the organization.
projection.differs|503|A rebuilt view differs|Operator: keep both schemas and report it.
projection.gap|503|A view misses entries|Operator: rebuild the views.
projection.malformed|503|A view cannot read an entry|Operator: run fsck.
projection.malformed_row|503|A view cannot read a row|Operator: run fsck.
projection.moved|503|A view moved underneath|Operator: one runner per schema.
projection.rows_missing|503|Sealed rows are missing|Operator: run fsck, then restore.
projection.unknown_tag|503|A view meets a newer fact|Operator: upgrade, then it goes on.
quota.claim_invalid|400|Not a claim|Claim at most what the scope is guaranteed, for a time after the borrowers' notice.
quota.claim_stands|409|The claim has not expired|Withdraw it with another reason, or wait until then.
quota.exceeded|409|A quota is used up|Ask for what the facts say fits, end something, or have it raised.
quota.guarantee_exceeded|409|Guaranteed to others already|Guarantee what the facts say fits, or raise the guarantee of the scope above.
quota.lent|409|It is lent out|Claim it: whoever borrows it is told to stop.
quota.limit_invalid|400|Not a limit|Send 0 or more.
quota.share_invalid|400|Not a share|Send 0 <= lendable <= guaranteed <= limit of one model; first set the scope above.
rate.limited|429|Too many requests|Wait as many seconds as Retry-After says.
rebuild.readers|409|Readers hold the views|Nothing was swapped; repeat when long questions have ended.
rebuild.running|409|A rebuild is running|Wait for it to end.
receipt.not_signed|409|Not signed yet|Ask again after a moment.
recording.changed|409|The recording was changed|Operator: restore the file; the log says what was sealed.
recording.malformed|409|Not a recording|Operator: restore the file.
recording.none|404|Nothing was recorded|Open the session with `record`.
recording.order|409|Sealed otherwise before|Operator: two programs record one session.
replay.busy|409|Another replay runs there|Wait for it or choose another folder.
replay.database|500|The replay's database failed|Start it again: it resumes.
replay.diverged|409|Another input or release|Use a new folder for other input.
replay.input|400|A malformed input file|Fix the line that is named.
replay.not_signed|503|The checkpoint does not come|Start it again: it resumes.
request.encoding|415|An encoded body|Send the body as it is: no Content-Encoding, no Transfer-Encoding but chunked.
request.invalid|400|Not a valid request|Fix the fields that are named.
request.malformed|400|Not a JSON request|Send one JSON object of the documented form.
request.media_type|415|Another media type|Send `application/json`.
request.method|405|Another method|Use a method that `Allow` names.
request.text|400|Not a plain text|Leave out control characters and letters that nobody sees; shorten it.
request.too_deep|400|Nested too deep|Send a flatter body.
request.too_large|413|Too large|Send less in one request.
request.too_slow|408|A body that does not come|Send it at once; a body has 20 s.
reservation.ended|409|The reservation has ended|Launch without it, or have another made.
reservation.invalid|400|Not a reservation|Send an end in the future and at least one device.
reservation.not_over|409|It still stands|Give it back for another reason, or wait.
reservation.unknown|404|No such reservation|Check the id and the project.
resource.unknown|404|Not found|Check the id and your organization.
restore.differs|500|The storage differs from the log|Operator: keep both; do not overwrite either.
restore.range_invalid|400|Not a range of the old log|Name a position that its note covers.
restore.storage_invalid|500|The storage does not verify|Operator: restore from another copy.
server.fault|500|The server failed|Repeat with the same key; report the correlation id.
signer.exists|500|A signer's folder is in use|Operator: use a new folder.
signer.fork|503|Another tree of the same size|Operator: keep both notes; the log was rewritten.
signer.inconsistent|503|The tree does not extend the last|Operator: keep both; the log was rewritten.
signer.key_exposed|500|Others can read the key|Operator: chmod 600 it.
signer.key_missing|500|No signing key|Operator: restore the signer's folder.
signer.malformed|400|Not a signing request|Report it: two releases run side by side.
signer.origin_differs|503|Another log's storage|Operator: give it the storage of this log.
signer.rolled_back|503|The log is older than its checkpoint|Operator: refill from the entry bundles.
signer.second|503|Another signer runs|Operator: run one.
signer.size_moved|503|The state moved underneath|Operator: run one signer.
signer.smaller_tree|503|The tree shrank|Operator: refill from the entry bundles.
signer.socket_path|500|The socket's path is too long|Operator: choose a shorter folder.
signer.state_changed|503|The signer's state was written by another|Operator: run one signer.
signer.state_missing|503|The signer's state is gone|Operator: restore it; it lives apart from the data.
signer.state_unwritable|503|The signer cannot write its state|Operator: make room on its disk; it goes on by itself.
signer.unavailable|503|The signer does not answer|Operator: start it; appends wait for it.
ssh.host_refused|403|Not this node's host key|Enrol the node, attest the runtime's route, sign with the event key.
ssh.key_refused|400|Not a usable public key|Send one OpenSSH public key line: Ed25519, ECDSA or RSA of 2048 bits and more.
ssh.source_refused|400|Not a source network|Send up to 8 addresses or CIDRs without host bits.
stack.data_unreachable|500|The data folder cannot be entered|Choose a folder the named account can enter.
stack.locked|409|The data folder is in use|Stop the process that is named.
stack.no_account|500|No unprivileged account|Start as an ordinary user.
stack.no_nats|500|No NATS server|Run `make install`, or name a server.
stack.no_postgres|500|No PostgreSQL|Run `make install`, or name a server.
stack.part_ended|500|A part ended by itself|Read its last words, which are shown.
stack.port_in_use|409|A port is in use|Free it or choose another.
stack.postgres_version|500|Another PostgreSQL wrote this data|Use the version that is named.
stack.secrets_missing|500|The server's passwords are gone|Put the named file back from a copy.
stack.secrets_unreadable|500|The server's passwords are damaged|Put the named file back from a copy.
stack.start_failed|500|A part did not start|Read its last lines, which are shown.
state.in_use|409|Another agent runs there|Stop it or choose another folder.
storage.malformed|503|A stored file is damaged|Operator: run fsck, then restore.
storage.missing|503|A stored file is missing|Operator: run fsck, then restore.
subject.malformed|400|Not a node's subject|Publish under the subjects of contracts/fleet.py.
term.ahead|409|There is no such output yet|Attach from an offset that was received.
term.foreign|403|A frame of another attachment|Attach again.
term.forged|403|A frame nobody of the session made|Operator: somebody else publishes on NATS.
term.gone|404|No such terminal on the node|Open a new one.
term.hole|409|Input before it was lost|Send again from what was taken.
term.key|400|Not a usable X25519 key|Fix the program that attaches.
term.malformed|400|Not a terminal frame|Fix the program that sends it.
term.replayed|409|A frame that came before|Operator: somebody repeats what passes on NATS.
term.typed_too_far|409|Too much input under way|Wait for the acknowledgement of what was sent.
terminal.exists|409|The session exists|Read it; open another.
terminal.malformed|400|Not an order for a terminal|Operator: two releases run side by side.
terminal.not_running|409|The runtime is not usable|Wait until it is usable, or start another.
terminal.origin|403|A foreign page|Operator: name its origin in GPUAAS_ORIGINS, if it is yours.
terminal.over|409|The session is over|Open a new one.
terminal.size|400|Not a terminal's size|Send 1 to 1000 columns and rows.
terminal.ticket|403|Not a valid ticket|Ask for a new one: each opens one connection within 30 s.
terminal.too_many|409|Too many terminals on a node|Close one that is open.
terminal.unknown|404|No such session|Check the id.
tls.ends_soon|500|A certificate ends soon|Operator: put a renewed one in its place.
tls.expired|500|A certificate is not in its time|Operator: put a current one in its place.
tls.mismatched|500|Certificate and key are no pair|Operator: name the key of that certificate.
tls.not_renewed|500|The pair in a certificate's place is wrong|Operator: put a current pair there.
tls.not_shown|503|A renewed certificate is not shown|Operator: it is tried again; else start the process anew.
tls.unreadable|500|A certificate or key cannot be read|Operator: put a PEM file there that this process may read.
token.malformed|401|Not an enrolment token|Copy the token whole, or invite again.
token.not_embedded|403|Tokens come from another issuer|Sign in there.
view.behind|503|The view is catching up|Ask again after a moment.
volume.attached|409|A runtime has it|Stop that runtime first: a volume has one writer.
volume.busy|409|An order is under way|Wait until its node has answered the last one.
volume.damaged|409|The file system is damaged|Operator: look at the disk; restore a snapshot.
volume.deleted|409|The volume is no more|Create another one.
volume.exists|409|The volume exists|Read it.
volume.foreign_boot|409|A word of another boot|Anchor the new boot first.
volume.foreign_node|403|Not this node's volume|Report only what lies here.
volume.locked|409|Nothing holds for the volume|Top up its account before the date in the facts: then it is wiped.
volume.missing|409|The volume is not on its node|Operator: the node has lost it; look at its disk.
volume.no_node|409|No node for the volume|Name another node or model, or try again later.
volume.no_price|409|Nothing prices volumes|Operator: publish a price for the meter, model, region and state in the facts.
volume.no_room|409|Its node has no room|Wait until something ends there, or launch smaller.
volume.no_space|409|The node's disk is full|Ask for less, or create it on another node.
volume.node_lives|409|Its node is there|Delete the volume: its node wipes it and gives a receipt.
volume.not_asked|409|Nobody asked for that|Answer the order that stands.
volume.not_ready|409|The volume is not made yet|Wait until its node has made it.
volume.other_node|409|On another node|Name volumes of one node.
volume.path_refused|400|Not a place for a volume|Use a folder of its own, as `/data`, outside the system's.
volume.receipt_short|409|The receipt covers too little|Operator: look at the node; its wipe is not believed.
volume.shrinks|400|A volume only grows|Send a larger size.
volume.size_invalid|400|Not a size|Send what the detail allows.
volume.slow|409|It took too long|Try again when the runtime writes less, or stop it first.
volume.snapshot_unknown|404|No such snapshot|Name one that the volume shows.
volume.snapshots_many|409|Too many snapshots|Restore from one of them, or copy it out.
volume.stale_epoch|409|A later epoch has it|Nothing: what is fenced off stays so.
volume.unknown|404|No such volume|Check the id and the project.
volume.unsupported|503|The node cannot hold volumes|Operator: run the agent as root, with mkfs.ext4 and losetup.
watchdog.busy|409|Another program has the watchdog|Stop who has it (systemd's RuntimeWatchdogSec, watchdogd, another agent) or leave it out.
watchdog.disarms|500|A watchdog that a kill disarms|Use a driver with magic close, such as softdog, or leave it out.
watchdog.elsewhere|409|Another device is armed|End it (SIGTERM, once nothing runs), or name the device that it holds.
watchdog.expired|500|The machine is being reset|Wait for the reset, or reboot it yourself if it does not come.
watchdog.missing|500|No such watchdog device|Load its driver (softdog where there is no hardware) or leave it out.
watchdog.not_one|500|Not a watchdog device|Name one that the kernel's watchdog API answers on.
watchdog.refused|500|The watchdog cannot be used|Read the reason; the agent needs root for it.
watchdog.silent|500|The watchdog does not begin|Read its log beside the agent's state.
webhook.deleted|409|The webhook is deleted|Register another one.
webhook.exists|409|The webhook exists|Read it.
webhook.invalid|400|Not a webhook|Send tags as the contracts name them, or areas as `gpuaas.runtime.*`.
webhook.not_https|400|Not over https|Send a URL that begins with https://.
webhook.not_public|400|Not a public address|Send an https URL of a name that leads to public addresses only.
webhook.too_many|409|Too many webhooks|Delete one that is not needed.
webhook.unknown|404|No such webhook|Check the id.
webhook.unresolved|400|No public address of this name|Check the name; every address of it must be public.
webhook.url_refused|400|Not an address that is called|Send a plain https URL, without a user and without a fragment.
"""


def _read(table: str) -> dict[str, Problem]:
    rows = [line.split("|") for line in table.splitlines()]
    return {code: Problem(title, int(status), remedy) for code, status, title, remedy in rows}


PROBLEMS: Final = _read(_TABLE) | _read(FLEET) | _read(MONEY) | _read(IDENTITY)
