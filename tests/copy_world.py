"""Copying in and out of a runtime's volume as its owner does: rsync, sftp, scp, curl; nothing mocked."""

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from contracts import ssh
from tests.containers import until
from tests.ssh_world import authority
from tests.story_world import Scene, awaited

SIZE = 3 * 2**20 + 17
_PORT = 8001
_GPUAAS = Path(sys.executable).parent / "gpuaas"
# A tenant's own server of /data that knows ranges (RFC 9110 section 14), one request at a time.
_SERVER = r"""
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 8001, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) {
  my ($verb, $path) = split ' ', <$c> // '';
  my (%h, $b);
  while (<$c>) { s/\r?\n//; last unless length; my ($n, $v) = split /:\s*/, $_, 2; $h{lc $n} = $v }
  my ($file, $size) = ("/data$path", -s "/data$path");
  if ($verb eq 'PUT') {
    my ($at) = ($h{'content-range'} // '') =~ /bytes (\d+)-/;
    open my $o, ($at ? '+<' : '>'), $file;
    seek $o, $at // 0, 0;
    for (my $left = $h{'content-length'}; $left > 0;) {
      my $n = read $c, $b, $left < 65536 ? $left : 65536 or last;
      print $o $b;
      $left -= $n;
    }
    close $o;
    print $c "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
  } else {
    my ($at) = ($h{range} // '') =~ /bytes=(\d+)-/;
    my $said = defined $at ? "206 Partial\r\nContent-Range: bytes $at-" . ($size - 1) . "/$size" : '200 OK';
    print $c "HTTP/1.1 $said\r\nContent-Length: " . ($size - ($at // 0)) . "\r\n\r\n";
    if ($verb eq 'GET') { open my $i, '<', $file; seek $i, $at // 0, 0; print $c $b while read $i, $b, 65536 }
  }
  close $c;
}
"""


class Copier:
    """The owner's machine: a folder with data, and a kept ssh_config."""

    def __init__(self, place: Scene, runtime: str) -> None:
        self.place = place
        self.runtime = runtime
        self.here = place.folder / "copying"
        self.here.mkdir()
        self.env = {
            **os.environ, "HOME": str(place.folder), "GPUAAS_URL": place.stack.url,
            "GPUAAS_TOKEN": place.office.member,
        }  # fmt: skip
        kept = self.done(str(_GPUAAS), "ssh", "--keep", str(self.here / "ssh"), runtime)
        self.config = kept.stdout.strip()

    def run(self, *argv: str, said: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            argv, env=self.env, input=said, capture_output=True, text=True, timeout=120, check=False
        )

    def done(self, *argv: str, said: str = "") -> "subprocess.CompletedProcess[str]":
        found = self.run(*argv, said=said)
        assert found.returncode == 0, (argv, found.stderr)
        return found

    def inside(self, command: str) -> str:
        return self.done("ssh", "-F", self.config, self.runtime, command).stdout

    def there(self, path: str) -> str:
        return f"{self.runtime}:{path}"

    def same(self, file: Path, path: str) -> bool:
        """Whether the file here and the one in the volume are the same bytes."""
        return self.inside(f"sha256sum {path}").split()[0] == digest(file)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copied_in_and_out(place: Scene, runtime: str) -> None:
    """By each way the bytes are the same after it, and where the host key is not certified by our
    CA nothing is copied.
    """
    mine = Copier(place, runtime)
    big = mine.here / "big"
    big.write_bytes(os.urandom(SIZE))
    by_rsync(mine, big)
    by_sftp_and_scp(mine, big)
    by_http(mine, big)
    from_nobody_else(mine, big)


def by_rsync(mine: Copier, big: Path) -> None:
    """A tree there and back, with `gpuaas ssh` as its shell; what changed goes again."""
    bring_rsync(mine)
    tree = mine.here / "tree"
    (tree / "a folder").mkdir(parents=True)
    (tree / "a folder" / "ä name").write_text("words\n")
    (tree / "big").write_bytes(big.read_bytes())
    rsync = ("rsync", "-a", "--stats", "-e", f"{_GPUAAS} ssh")
    mine.done(*rsync, f"{tree}/", mine.there("/data/tree/"))
    assert mine.same(tree / "big", "/data/tree/big")
    (tree / "a folder" / "ä name").write_text("other words\n")
    said = mine.done(*rsync, f"{tree}/", mine.there("/data/tree/")).stdout
    assert re.search(r"regular files transferred: 1\n", said), said
    back = mine.here / "back"
    mine.done(*rsync, mine.there("/data/tree/"), f"{back}/")
    for path in ("big", "a folder/ä name"):
        assert digest(back / path) == digest(tree / path)


def bring_rsync(mine: Copier) -> None:
    """The image has none: its owner puts one there, with the libraries that it lacks."""
    scp = ("scp", "-q", "-F", mine.config)
    mine.done(*scp, "/usr/bin/rsync", mine.there("/usr/bin/rsync"))
    for line in mine.inside("ldd /usr/bin/rsync").splitlines():
        if "not found" in line:
            name = line.split()[0]
            known = mine.done("ldd", "/usr/bin/rsync").stdout
            [path] = re.findall(rf"{re.escape(name)} => (\S+)", known)
            mine.done(*scp, path, mine.there(path))


def by_sftp_and_scp(mine: Copier, big: Path) -> None:
    """There and back; a download and an upload that broke off go on where they were."""
    half, part = mine.here / "half", mine.here / "part"
    half.write_bytes(big.read_bytes()[: SIZE // 2])
    part.write_bytes(half.read_bytes())
    sftp = ("sftp", "-q", "-F", mine.config, "-b", "-", mine.runtime)
    mine.done(*sftp, said=f"put {big} /data/big\nreget /data/big {part}\nput {half} /data/half\n")
    assert digest(part) == digest(big)
    mine.done(*sftp, said=f"reput {big} /data/half\n")
    assert mine.same(big, "/data/half")
    scp = ("scp", "-q", "-F", mine.config)
    mine.done(*scp, "-r", mine.there("/data/half"), str(part))
    assert digest(part) == digest(big)


def by_http(mine: Copier, big: Path) -> None:
    """Through the gateway to a port of the runtime: `curl -C` ends what was cut, both ways."""
    script = mine.here / "serve.pl"
    script.write_text(_SERVER)
    mine.done("scp", "-q", "-F", mine.config, str(script), mine.there("/data/serve.pl"))
    mine.inside("perl /data/serve.pl >/data/serve.log 2>&1 </dev/null &")
    office, out = mine.place.office, mine.here / "out"
    answer = office.post(f"/v1/runtimes/{mine.runtime}/app-passes", {"port": _PORT}, office.member)
    assert answer.status_code == 201, answer.text
    origin, bearer = answer.json()["origin"], f"Authorization: Bearer {answer.json()['token']}"
    curl = ("curl", "--silent", "--fail", "-H", bearer, "-H", "Expect:")
    awaited(lambda: mine.run(*curl, "-I", f"{origin}/big").returncode, lambda how: how == 0, 60)
    cut(mine, out, *curl, "-o", str(out), f"{origin}/big")
    mine.done(*curl, "-C", "-", "-o", str(out), f"{origin}/big")
    assert digest(out) == digest(big)
    cut(mine, None, *curl, "-T", str(big), f"{origin}/up")
    head = mine.done(*curl, "-I", f"{origin}/up").stdout
    size = int(re.findall(r"(?i)content-length: (\d+)", head)[0])
    assert 0 < size < SIZE
    mine.done(*curl, "-C", str(size), "-T", str(big), f"{origin}/up")
    assert mine.same(big, "/data/up")


def cut(mine: Copier, grows: Path | None, *argv: str) -> None:
    """The transfer, at 1 MB/s, is killed in its middle."""
    slow = (argv[0], "--limit-rate", "1M", *argv[1:])
    with subprocess.Popen(slow, env=mine.env, stderr=subprocess.DEVNULL) as child:
        if grows is None:
            time.sleep(1.5)
        else:
            until(lambda: grows.exists() and grows.stat().st_size > 0, "some of it is here")
        assert child.poll() is None, "it was done before it could be cut"
        child.kill()
    assert grows is None or 0 < grows.stat().st_size < SIZE


def from_nobody_else(mine: Copier, big: Path) -> None:
    """A host whose key another CA certified is believed by none of them."""
    other = ssh.known_hosts_line(authority().host_ca)
    Path(mine.config).with_name("known_hosts").write_text(other)
    ours = f"ssh -F {mine.config}"
    for argv, said in (
        (("rsync", "-e", ours, str(big), mine.there("/data/never")), ""),
        (("scp", "-q", "-F", mine.config, str(big), mine.there("/data/never")), ""),
        (("sftp", "-q", "-F", mine.config, "-b", "-", mine.runtime), f"put {big} /data/never\n"),
    ):
        refused = mine.run(*argv, said=said)
        assert refused.returncode != 0, argv
        assert "Host key verification failed" in refused.stderr, refused.stderr
    kept = mine.done(str(_GPUAAS), "ssh", "--keep", str(mine.here / "ssh"), mine.runtime)
    assert kept.stdout.strip() == mine.config
    assert "never" not in mine.inside("ls /data")
