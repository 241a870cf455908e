"""Whether the server in this container answers: exit code 0 or 1. A hub tells the environment where it is."""

import os
import sys
import urllib.request
from urllib.parse import urlsplit

told = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL") or "http://127.0.0.1:8888/")
address = f"http://127.0.0.1:{told.port or 8888}{told.path.rstrip('/')}/api"
try:
    with urllib.request.urlopen(address, timeout=3) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except OSError as error:
    sys.exit(f"{address}: {error}")
