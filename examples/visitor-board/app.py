"""The Visitor Board: a page with the newest messages and a form to leave one.

Keeps nothing between requests and nothing on its disk: any instance can answer any request, one or ten of them.
"""

import hashlib
import os
import secrets
import socket
from datetime import datetime, timezone
from pathlib import Path

from flask import Flask, Response, redirect, render_template, request, url_for

import entry
from messages import Messages, Unavailable

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 16 * 1024
app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000  # Its address changes with it, see `style`.
app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

messages = Messages.from_environment()
# Which of the many: the platform says so in a variable, a plain machine has a name.
INSTANCE = os.environ.get("SKYLIFT_INSTANCE") or socket.gethostname()
STYLE = hashlib.sha256((Path(app.root_path) / "static/style.css").read_bytes()).hexdigest()[:12]


@app.get("/")
def read():
    after = request.args.get("after")
    return render_template("board.html", page=messages.page(after), is_first=not after, form=blank())


@app.post("/")
def write():
    try:
        sent = entry.parse(request.form, new_token())
    except entry.Mistake as mistake:
        return again(422, mistake=mistake)
    try:
        id = messages.add(sent.token, sent.name, sent.text, now=datetime.now(timezone.utc))
    except Unavailable as error:
        app.logger.error("not stored: %s", error)
        return away(form=request.form)
    # To where it is read: reloading that page sends nothing again, and the browser marks the new message.
    return redirect(url_for("read", _anchor=f"m-{id}"), 303)


@app.get("/healthz")
def healthz():
    # Of this process alone. An instance is not ill because the table is away, and all of them would be at once.
    return Response("ok\n", mimetype="text/plain")


@app.errorhandler(Unavailable)
def unavailable(error):
    app.logger.error("not read: %s", error)
    return away()


@app.errorhandler(404)
def not_found(_error):
    return trouble(404, "There is no such page", "The board has only one.")


@app.errorhandler(405)
def not_allowed(error):
    answer = app.make_response(trouble(405, "That cannot be done here", "The board is read and written to."))
    answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return answer


@app.errorhandler(413)
def too_large(_error):
    return trouble(413, "That is too much", f"A message has {entry.TEXT_MAX} characters at most.")


@app.errorhandler(500)
def fault(_error):
    # The log has it; visitors need not.
    return trouble(500, "Something went wrong here", "It is not your fault. Please try again in a moment.")


@app.after_request
def guard(answer):
    """No script, nothing from elsewhere, nothing kept but the style sheet, whose address names its content."""
    answer.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "static":
        answer.headers["Cache-Control"] = "no-store"
    return answer


@app.context_processor
def given():
    return {"instance": INSTANCE, "name_max": entry.NAME_MAX, "text_max": entry.TEXT_MAX, "style": STYLE}


def blank():
    return {"token": new_token(), "name": "", "message": ""}


def new_token():
    return secrets.token_urlsafe(18)


def again(status, mistake):
    """The form as it was sent, with what is wrong, above the newest messages."""
    form = {"token": new_token(), "name": request.form.get("name", ""), "message": request.form.get("message", "")}
    try:
        page = messages.page()
    except Unavailable as error:
        app.logger.error("not read: %s", error)
        return away(form)
    return render_template("board.html", page=page, is_first=True, form=form, mistake=mistake), status


def away(form=None):
    """The form, where one was sent, keeps its token: sent again, it is stored once, whatever became of it before."""
    answer = app.make_response((render_template("away.html", form=form), 503))
    answer.headers["Retry-After"] = "5"
    return answer


def trouble(status, title, text):
    return render_template("trouble.html", title=title, text=text), status
