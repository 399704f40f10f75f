"""A server of gRPC made with Debian's grpcio, called by the name that is its argument; by TLS, where a file follows.

/echo.Echo/Say answers with its message, /Chat with each of them as it comes, /Fail with an error, /Wait with its message,
and then with nothing until it is given up; /grpc.health.v1.Health/Check says that it serves. The first line of standard
output is its port; another is written for each call that was given up.
"""

import sys
import threading
from concurrent import futures

import grpc

name = sys.argv[1]


def say(message, context):
    context.send_initial_metadata((("x-first", name),))
    context.set_trailing_metadata((("x-last", name), ("x-bytes-bin", b"\x00\xff")))
    return message


def chat(messages, context):
    for message in messages:
        yield message


def fail(message, context):
    context.set_trailing_metadata((("x-last", name),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nö")


def wait(message, context):
    given_up = threading.Event()

    def over():
        print("given up", flush=True)  # here: who is given up before it goes on is never resumed
        given_up.set()

    context.add_callback(over)
    yield message
    given_up.wait()


class Handler(grpc.GenericRpcHandler):
    METHODS = {
        "/echo.Echo/Say": grpc.unary_unary_rpc_method_handler(say),
        "/echo.Echo/Chat": grpc.stream_stream_rpc_method_handler(chat),
        "/echo.Echo/Fail": grpc.unary_unary_rpc_method_handler(fail),
        "/echo.Echo/Wait": grpc.unary_stream_rpc_method_handler(wait),
        "/grpc.health.v1.Health/Check": grpc.unary_unary_rpc_method_handler(lambda message, context: b"\x08\x01"),
    }

    def service(self, details):
        return self.METHODS.get(details.method)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=(Handler(),))
if len(sys.argv) > 2:  # by TLS: a file with key and certificate
    with open(sys.argv[2], "rb") as pem:
        both = pem.read()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(both, both)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
print(port, flush=True)
server.start()
server.wait_for_termination()
