"""Calls methods of gRPC with Debian's grpcio and protobuf.

Standard input: {"target", "ca", "shown": {"cert", "key"}, "files": [FileDescriptorProto in JSON, or its bytes in base64],
"calls": [{"method", "request", "response", "message", "metadata", "timeout", "compress", "isShown"}]}, where request
and response name messages, and message is the request in JSON; or "raw": the bytes of both, in hexadecimal. A call that
isShown goes by the connection that the certificate was shown on. Standard output: for each call {"code", "details",
"message", "initial", "trailing"}.
"""

import base64
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

asked = json.load(sys.stdin)
pool = descriptor_pool.DescriptorPool()
for file in asked["files"]:
    if isinstance(file, str):
        pool.AddSerializedFile(base64.b64decode(file))
    else:
        pool.Add(json_format.ParseDict(file, descriptor_pb2.FileDescriptorProto()))
factory = message_factory.MessageFactory(pool)


def type_of(name):
    return factory.GetPrototype(pool.FindMessageTypeByName(name))


def pairs(metadata):
    return [[key, value if isinstance(value, str) else value.hex()] for key, value in metadata or ()]


def call(channel, each):
    if "raw" in each:
        method = channel.unary_unary(each["method"])
        request, told = bytes.fromhex(each["raw"]), bytes.hex
    else:
        method = channel.unary_unary(
            each["method"],
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=type_of(each["response"]).FromString,
        )
        request, told = json_format.ParseDict(each["message"], type_of(each["request"])()), json_format.MessageToDict
    try:
        answer, ended = method.with_call(
            request,
            timeout=each.get("timeout", 10),
            metadata=[tuple(pair) for pair in each.get("metadata", [])],
            compression=grpc.Compression.Gzip if each.get("compress") else None,
        )
        said = told(answer)
    except grpc.RpcError as error:
        ended, said = error, None
    return {
        "code": ended.code().name,
        "details": ended.details(),
        "message": said,
        "initial": pairs(ended.initial_metadata()),
        "trailing": pairs(ended.trailing_metadata()),
    }


def open_channel(shown):
    if not asked.get("ca"):
        return grpc.insecure_channel(asked["target"])
    pair = {"private_key": shown["key"].encode(), "certificate_chain": shown["cert"].encode()} if shown else {}
    return grpc.secure_channel(asked["target"], grpc.ssl_channel_credentials(asked["ca"].encode(), **pair))


with open_channel(None) as plain, open_channel(asked.get("shown")) as known:
    print(json.dumps([call(known if each.get("isShown") else plain, each) for each in asked["calls"]]))
