"""A YAML language server, spoken to as an editor does: JSON-RPC over pipes (Language Server Protocol 3.17)."""
import json
import pathlib
import queue
import subprocess
import threading
import time

TIMEOUT_S = 60


class LanguageServer:
    """with LanguageServer(program, schema) as server: every document is checked against the schema."""

    def __init__(self, program, schema):
        self.settings = {
            "yaml": {"schemas": {pathlib.Path(schema).resolve().as_uri(): "*.yaml"}, "validate": True, "completion": True,
                     "hover": True, "schemaStore": {"enable": False}, "kubernetesCRDStore": {"enable": False}},
        }
        self.process = subprocess.Popen([str(program), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.answers = {}
        self.diagnostics = {}
        self.change = threading.Condition()
        self.is_closed = False
        self.outgoing = queue.Queue()
        self.next_id = 0
        self.documents = 0
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.read_all, self.write_all)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        try:
            self.request("initialize", processId=None, rootUri=None, capabilities={
                "workspace": {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}},
                "textDocument": {"publishDiagnostics": {}, "hover": {"contentFormat": ["plaintext"]},
                                 "completion": {"completionItem": {"snippetSupport": False}}}})
            self.notify("initialized")
            self.notify("workspace/didChangeConfiguration", settings=self.settings)
            self.wait_for_schema()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.outgoing.put(None)
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except OSError:
            pass

    def wait_for_schema(self):
        """It asks for its settings in its own time and checks nothing before it has them."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self.check("no-key-of-any-schema: 1\n"):
            if time.monotonic() > deadline:
                raise AssertionError("the language server does not use the schema")
            time.sleep(0.05)

    # ---- messages ----

    def write_all(self):
        while (message := self.outgoing.get()) is not None:
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            try:
                self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                self.process.stdin.flush()
            except OSError:
                return

    def read_message(self):
        size = 0
        while (line := self.process.stdout.readline()) not in (b"", b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        return json.loads(self.process.stdout.read(size)) if size > 0 else None

    def read_all(self):
        while (message := self.read_message()) is not None:
            with self.change:
                if "method" not in message:
                    self.answers[message["id"]] = message
                elif message["method"] == "textDocument/publishDiagnostics":
                    self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
                elif "id" in message:
                    self.outgoing.put({"id": message["id"], "result": self.answer(message)})
                self.change.notify_all()
        with self.change:
            self.is_closed = True
            self.change.notify_all()

    def answer(self, message):
        """What the server asks of an editor."""
        if message["method"] != "workspace/configuration":
            return None
        return [self.settings.get(item.get("section"), {}) for item in message["params"]["items"]]

    def wait(self, found, what):
        with self.change:
            if not self.change.wait_for(lambda: self.is_closed or found(), TIMEOUT_S) or not found():
                raise AssertionError(f"the language server {'ended' if self.is_closed else 'gave no answer'}: {what}")

    def notify(self, method, **parameters):
        self.outgoing.put({"method": method, "params": parameters})

    def request(self, method, **parameters):
        self.next_id += 1
        number = self.next_id
        self.outgoing.put({"id": number, "method": method, "params": parameters})
        self.wait(lambda: number in self.answers, method)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    # ---- documents ----

    def open(self, text):
        """A new document; its address."""
        self.documents += 1
        uri = f"file:///jobs/job-{self.documents}.yaml"
        self.notify("textDocument/didOpen",
                    textDocument={"uri": uri, "languageId": "yaml", "version": 1, "text": text})
        return uri

    def check(self, text):
        """[(line from 1, message)]"""
        uri = self.open(text)
        self.wait(lambda: uri in self.diagnostics, "diagnostics")
        return [(d["range"]["start"]["line"] + 1, d["message"]) for d in self.diagnostics[uri]]

    def at_mark(self, method, text):
        before, after = text.split("@", 1)
        position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        return self.request(method, textDocument={"uri": self.open(before + after)}, position=position)

    def complete(self, text):
        """What is offered where the text has a @."""
        found = self.at_mark("textDocument/completion", text)
        return {item["label"] for item in (found or {}).get("items", [])}

    def hover(self, text):
        found = self.at_mark("textDocument/hover", text)
        contents = (found or {}).get("contents", "")
        return contents["value"] if isinstance(contents, dict) else str(contents)
