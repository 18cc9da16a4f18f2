"""A server on this machine."""

import http.server
import threading

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `cut` names one whose connection breaks half-way."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.cut = ""
        self.requests = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.requests.append(name)
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name == self.server.cut else content)

    def log_message(self, *args):
        pass


@pytest.fixture
def loopback(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNSCI_DATA", raising=False)
    monkeypatch.delenv("ATTNSCI_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()
