"""Speaks the frames of RPC and exchange, well or badly, to real daemons."""
import socket
import struct
import threading

HEADER = struct.Struct("<IBBHI")
KIND_HELLO = 1
KIND_MESSAGE = 2
FLAG_MORE = 1
PAYLOAD_MAX = 256 * 1024


def _table():
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        yield i


_CRC = list(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def frame(kind, payload, flags=0, channel=0):
    head = HEADER.pack(len(payload), kind, flags, 0, channel)
    return head + struct.pack("<I", crc32c(head + payload)) + payload


def rpc_hello(major, minor=0):
    return frame(KIND_HELLO, b"MSRP" + struct.pack("<HH", major, minor))


def exchange_hello(major, minor=0, cluster=b"default", incarnation=b"\0" * 16):
    return frame(KIND_HELLO, b"MSDX" + struct.pack("<HH", major, minor) + incarnation + bytes([len(cluster)]) + cluster)


def exact(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_frame(connection):
    """(kind, flags, bytes of the whole frame)."""
    head = exact(connection, 16)
    size, kind, flags, _, _ = HEADER.unpack(head[:12])
    return kind, flags, head + exact(connection, size)


def dial(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def closed_by_peer(connection):
    """Reads until the other side closes; what it sent before."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionError:
        pass
    return data


class Relay:
    """Stands between TaskManagers and a JobManager and keeps what each TaskManager sends first: its registration."""

    def __init__(self, port):
        self.target = port
        self.registrations = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = dial(self.target)
            except OSError:
                return
            far.settimeout(None)
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near), daemon=True).start()

    def _forward(self, near, far):
        try:
            hello = read_frame(near)[2]
            register = b""
            flags = FLAG_MORE
            while flags & FLAG_MORE:
                _, flags, part = read_frame(near)
                register += part
            self.registrations.append(hello + register)
            far.sendall(hello + register)
        except (OSError, EOFError):
            far.close()
            return
        self._copy(near, far)

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
