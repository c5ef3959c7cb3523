import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from linumpy_lib.alignment.atlas_template import allen_template
from linumpy_lib.errors import InputError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
RIGHT = {25: hashlib.sha256(CONTENT).hexdigest()}


class Server(ThreadingHTTPServer):
    cut = 0
    ranges: list

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = CONTENT[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut] if self.server.cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as found:
        found.ranges = []
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_it_is_fetched_once_whole_and_checked(server, tmp_path):
    path = allen_template(25, folder=tmp_path / "cache", source=server.address, checksums=RIGHT)
    assert path.name == "average_template_25.nrrd"
    assert path.read_bytes() == CONTENT
    assert allen_template(25, folder=tmp_path / "cache", source="http://127.0.0.1:9", checksums=RIGHT) == path
    assert len(server.ranges) == 1
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_interrupted_download_goes_on_where_it_ended(server, tmp_path):
    server.cut = 1_000_000
    with pytest.raises(InputError, match=r"average_template_25\.nrrd.*1000000 of 3000000 bytes"):
        allen_template(25, folder=tmp_path, source=server.address, checksums=RIGHT)
    assert not (tmp_path / "average_template_25.nrrd").exists()
    server.cut = 0
    path = allen_template(25, folder=tmp_path, source=server.address, checksums=RIGHT)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-"]


def test_a_wrong_file_is_thrown_away(server, tmp_path):
    with pytest.raises(InputError, match="is not the Allen template"):
        allen_template(25, folder=tmp_path, source=server.address, checksums={25: "0" * 64})
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_file_to_place_is_named(tmp_path):
    with pytest.raises(InputError, match=r"average_template_50\.nrrd: the Allen template is not there.*put it there"):
        allen_template(50, folder=tmp_path, source="http://127.0.0.1:9", checksums={})


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    (tmp_path / "average_template_100.nrrd").write_bytes(b"here")
    monkeypatch.setenv("LINUMPY_ATLAS_CACHE", str(tmp_path))
    assert allen_template(100) == tmp_path / "average_template_100.nrrd"
