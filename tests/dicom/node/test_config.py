"""The configuration in the documentation is read, and every wrong field is refused by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.sections import Access
from bedside.runtime.errors import InputError

SHORT = """
[node]
queue = "queue"
[[peers]]
name = "pacs"
ae_title = "PACS"
address = "127.0.0.1"
port = 104
[[rules]]
name = "all"
bundle = "a.bedside"
send_to = ["pacs"]
"""


def read(folder, text):
    (folder / "node.toml").write_text(text)
    return load_node_config(folder / "node.toml")


def documented():
    page = Path(__file__).resolve().parents[3] / "docs" / "node.md"
    return re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)[1]


def test_the_documented_configuration_is_read(tmp_path):
    config = read(tmp_path, documented())
    assert [rule.name for rule in config.rules] == ["abdomen", "hippocampus"]
    assert config.peer("pacs").tls
    assert config.tls is not None


def test_the_documented_defaults_are_the_defaults(tmp_path):
    full, short = read(tmp_path, documented()), read(tmp_path, SHORT)
    examples = {"queue", "count_from", "ae_titles", "addresses", "threads", "memory_limit_mib"}
    for section in ("node", "access", "limits", "engine"):
        for name in getattr(short, section).__struct_fields__:
            if name not in examples:
                assert getattr(getattr(full, section), name) == getattr(getattr(short, section), name), name


def test_paths_are_relative_to_the_file(tmp_path):
    config = read(tmp_path, SHORT)
    assert config.node.queue == str(tmp_path / "queue")
    assert config.rules[0].bundle == str(tmp_path / "a.bedside")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port = 104", "port = 0", r"port: expected 1 to 65535, got 0.*peers\[0\]"),
        ("port = 104", 'port = "104"', r"int.*peers"),
        ('queue = "queue"', 'queue = ""', "queue: expected a text"),
        ('queue = "queue"', 'queue = "q"\ncolour = 1', "unknown field `colour`"),
        ('queue = "queue"', 'queue = "q"\nquiet_seconds = -1', "quiet_seconds: expected 0 to 86400, got -1"),
        ('queue = "queue"', 'queue = "q"\nquiet_seconds = nan', "quiet_seconds: expected 0 to 86400, got nan"),
        ('queue = "queue"', 'queue = "q"\naddress = "here"', "address: expected an address such as 127.0.0.1"),
        ('queue = "queue"', 'queue = "q"\nae_title = "MORE THAN SIXTEEN"', "ae_title: expected 1 to 16 ASCII"),
        ('queue = "queue"', 'queue = "q"\nae_title = "A\\\\B"', "ae_title: expected no backslash"),
        ('queue = "queue"', 'queue = "q"\ncount_from = "moon"', 'count_from: expected the name of a peer, got "moon"'),
        ('send_to = ["pacs"]', "send_to = []", r"send_to: expected the name of a peer, got none.*rules\[0\]"),
        ('send_to = ["pacs"]', 'send_to = ["moon"]', '"all" sends to "moon", which is not among the peers'),
        ('send_to = ["pacs"]', 'send_to = ["pacs"]\npixel_mm = [2, 1]', r"pixel_mm: expected \[least, greatest\]"),
        ('send_to = ["pacs"]', 'send_to = ["pacs"]\nmodality = "mr"', 'modality: expected one of DICOM such as "CT"'),
        ('send_to = ["pacs"]', 'send_to = ["pacs"]\norientation = "oblique"', "orientation"),
        ("port = 104", "port = 104\ntls = true", r"peers: tls = true needs the section \[tls\]"),
        ("[[rules]]", '[access]\naddresses = ["10.0.0.0/99"]\n[[rules]]', "addresses: expected addresses or networks"),
        ("[[rules]]", "[access]\naddresses = []\n[[rules]]", "addresses: expected at least one, got none"),
        ("[[rules]]", "[access]\nae_titles = []\n[[rules]]", "ae_titles: expected at least one, got none"),
        ('send_to = ["pacs"]', 'send_to = ["pacs"]\nbody_parts = []', "body_parts: expected at least one, got none"),
        ("[[rules]]", "[limits]\nmax_queue_gib = 0\n[[rules]]", "max_queue_gib: expected 0.001 to"),
        ("[[rules]]", "[engine]\nthreads = 0\n[[rules]]", "threads: expected 1 to"),
        ("[[rules]]", '[tls]\nkey = ""\ncertificate = "c"\nauthority = "a"\n[[rules]]', "key: expected a text"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(tmp_path, old, new, words):
    assert old in SHORT
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, SHORT.replace(old, new))
    assert str(caught.value).startswith('configuration "node.toml" is not valid: ')


def test_names_are_their_own_and_rules_are_needed(tmp_path):
    peer = SHORT[SHORT.index("[[peers]]") : SHORT.index("[[rules]]")]
    with pytest.raises(InputError, match='peers: expected names of their own, got "pacs" twice'):
        read(tmp_path, SHORT + peer)
    with pytest.raises(InputError, match="rules: expected at least one rule, got none"):
        read(tmp_path, "rules = []\n" + SHORT[: SHORT.index("[[rules]]")])


def test_only_listed_addresses_are_accepted():
    access = Access(addresses=("10.1.0.0/16", "::1"))
    assert access.accepts("10.1.2.3")
    assert access.accepts("::ffff:10.1.2.3")
    assert access.accepts("::1")
    assert not access.accepts("10.2.0.1")
    assert not access.accepts("fe80::1%eth0")
    assert not access.accepts("nonsense")
    assert Access().accepts("127.0.0.1")
    assert not Access().accepts("192.168.0.1")
