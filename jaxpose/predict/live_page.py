"""A local web page that shows the newest picture of a live view.

It is served to this machine alone, holds all that it needs, and shows pictures as a
browser shows a network camera: as one JPEG after the other.
"""

import html
import http.server
import io
import sys
import threading

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxpose.predict.live_source import Newest

PORT = 8642
_QUALITY = 85
_BORDER = b"picture"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ margin: 0; background: #f7f8fa; color: #22262e; text-align: center;
  font: 15px system-ui, sans-serif; }}
img {{ max-width: 100vw; max-height: calc(100vh - 3em); }}
</style>
<img src="stream" alt="waiting for the first picture">
<p id="told"></p>
<script>
setInterval(async () => {{
  const told = document.getElementById("told");
  try {{ told.textContent = await (await fetch("told")).text(); }}
  catch (error) {{ told.textContent = "The stream has ended."; }}
}}, 1000);
</script>
</html>
"""


class LivePage:
  """Serves a page until it is closed.

  Attributes:
    url: of the page.
    told: the line below the picture.
  """

  def __init__(self, title: str, port: int = PORT):
    """Starts it.

    Args:
      title: of the page.
      port: number between 1 and 65535; 0 takes one that is free.

    Raises:
      OSError: the port is taken.
    """
    self.told = ""
    self._pictures, self._watching = Newest(), 0
    self._lock = threading.Lock()
    content = _PAGE.format(title=html.escape(title)).encode()

    class Handler(_Handler):
      page, start = self, content

    try:
      self._server = _Server(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
      raise OSError(
        f"port {port} cannot be used for the live page ({error}); choose another with "
        "--port, such as --port=0 for any that is free."
      ) from error
    self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
    self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
    self._thread.start()

  @property
  def watched(self) -> bool:
    """Whether somebody has the page open: else nothing has to be drawn."""
    return self._watching > 0

  def show(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Takes the place of the picture before."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY)
    self._pictures.put(file.getvalue())

  def close(self) -> None:
    """Ends the page."""
    self._pictures.end()
    self._server.shutdown()
    self._server.server_close()
    self._thread.join(5)

  def watch(self, write) -> None:
    """Writes pictures as they come, as parts of a multipart answer."""
    with self._lock:
      self._watching += 1
    try:
      number = -1
      while found := self._pictures.get(number):
        number, jpeg = found
        head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        write(head % (_BORDER, len(jpeg)) + jpeg + b"\r\n")
    finally:
      with self._lock:
        self._watching -= 1


class _Server(http.server.ThreadingHTTPServer):
  daemon_threads = True
  # Else a port that a browser looked at is taken for a minute after the end. On Windows
  # it would let two pages have one port.
  allow_reuse_address = sys.platform != "win32"

  def handle_error(self, request, client_address):
    pass  # somebody closed the page


class _Handler(http.server.BaseHTTPRequestHandler):
  page: LivePage
  start: bytes
  timeout = 10  # seconds that a browser may take for a picture

  def do_GET(self):
    host = self.headers.get("Host", "").partition(":")[0]
    if host not in ("127.0.0.1", "localhost"):  # another site under its own name
      self.send_error(403)
    elif self.path == "/":
      self._answer("text/html; charset=utf-8", self.start)
    elif self.path == "/told":
      self._answer("text/plain; charset=utf-8", self.page.told.encode())
    elif self.path == "/stream":
      self._head(f"multipart/x-mixed-replace; boundary={_BORDER.decode()}")
      self.page.watch(self.wfile.write)
    else:
      self.send_error(404)

  def _answer(self, kind: str, content: bytes) -> None:
    self._head(kind, len(content))
    self.wfile.write(content)

  def _head(self, kind: str, length: int | None = None) -> None:
    self.send_response(200)
    self.send_header("Content-Type", kind)
    self.send_header("Cache-Control", "no-store")
    if length is not None:
      self.send_header("Content-Length", str(length))
    self.end_headers()

  def log_message(self, *_):
    pass
