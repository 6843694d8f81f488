# The host's services, the metadata address, other families (attacks 26 to 28). Says which ports the host listens on: its arguments.
import errno, socket, sys
broken = []

def family(name, number, kind=socket.SOCK_STREAM, protocol=0):
    try:
        socket.socket(number, kind, protocol)
        broken.append(name)
    except OSError:
        pass

for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "192.0.2.1", "0.0.0.0"]:
    for port in map(int, sys.argv[1:]):
        sock = socket.socket()
        sock.settimeout(1)
        refused = sock.connect_ex((host, port))
        if refused not in (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH):
            broken.append(f"{host}:{port}: {refused}")
for host in ["::1", "fd00::1", "::ffff:127.0.0.1"]:
    try:
        sock = socket.socket(socket.AF_INET6)
        sock.settimeout(1)
        if sock.connect_ex((host, int(sys.argv[1]))) == 0:
            broken.append(host)
    except OSError:
        pass
# Routes of its own network may be asked for, as libraries do; nothing else of this family.
for protocol in (4, 6, 9, 10, 12, 15, 16, 21):
    family(f"netlink {protocol}", 16, socket.SOCK_RAW, protocol)
family("packet", 17, socket.SOCK_RAW, 3)
family("vsock", 40)
family("alg", 38, socket.SOCK_SEQPACKET)
family("raw", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
family("bluetooth", 31)
try:
    socket.getaddrinfo("example.org", 80)
    broken.append("a name was found")
except OSError:
    pass
# Its own loopback is there.
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].sendall(b"own")
if client.recv(3) != b"own":
    broken.append("its own loopback")
print("held" if not broken else broken)
