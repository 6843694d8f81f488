"""How the board is served, here and anywhere: `gunicorn app:app` reads this file by itself."""

import os

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
# An instance is small: one process whose threads wait for the table. More load means more instances.
workers = 1
threads = 8
# Longer than a balancer keeps an idle connection: who closes first must not be the one that a request is on its way to.
keepalive = 75
# Less than the time between SIGTERM and SIGKILL (10 s): what is under way is finished.
graceful_timeout = 8
control_socket_disable = True
