import type { Call, Complete, Matched, Transcoder } from '../call.ts';
import { GatewayError } from '../errors.ts';
import type { Unpack } from '../http/content-coding.ts';
import { isRecord, textOf } from '../unknown-value.ts';
import { dropBody, type Answer } from '../upstream.ts';
import { malformed, speechOf, withoutSpeech, type Speech } from './speech.ts';
import { takeMessage } from './envelope.ts';
import { toAnswerMessage, toHttpRequest, type HttpRule, type JsonMessage } from './http-rule.ts';
import { endReply, messageReply } from './reply.ts';
import type { RpcMethod } from './rpc.ts';
import { codeOfHttp, statusOfFailure } from './status.ts';

/** What a call asks for, where a route serves it. */
export interface RpcTarget {
  readonly method: RpcMethod;
  /** The path by which a caller of REST would ask for what a rule names. Throws NO_ROUTE where the route would not answer it. */
  readonly publicPath: (rule: HttpRule, path: string, call: Call) => string;
  /** Where the message stands in the query, in place of a body; Connect's GET. */
  readonly queried?: Buffer | undefined;
}

/** Serves one call of gRPC, gRPC-Web or Connect by the request of REST that its message is. */
export class RpcTranscoder implements Transcoder {
  readonly originalMethod: string;
  readonly originalPath: string;
  readonly protocol: string;
  readonly keepsStatus = true;
  readonly speech: Speech;
  readonly #target: RpcTarget | undefined;
  readonly #unpack: Unpack;
  #rule: HttpRule | undefined = undefined;

  /** Without a target it only says, in the caller's protocol, why the call is refused. */
  constructor({ method, path }: Call, { speech, target, unpack }: RpcParts) {
    this.originalMethod = method;
    this.originalPath = path;
    this.protocol = speech.protocol;
    this.speech = speech;
    this.#target = target;
    this.#unpack = unpack;
  }

  request(call: Complete, next: (call: Complete) => void): void {
    const queried = this.#target?.queried;
    if (queried !== undefined) {
      this.#forward(call, queried, next);
      return;
    }
    const { bodyBytesMax: bytesMax } = call.route.policy;
    takeMessage(call, { speech: this.speech, unpack: this.#unpack, bytesMax }, content =>
      this.#forward(call, content, next),
    );
  }

  answer(call: Matched, answer: Answer): Answer {
    if (answer.status >= 300) return endOfError(this.speech, answer);
    const content = this.#answered(answer);
    if (typeof content !== 'string') return messageReply(this.speech, content, answer);
    dropBody(answer);
    throw new GatewayError('UPSTREAM_FAULT', `${call.route.id}: ${content}`, {
      detail: `The service’s answer is not what the method returns: ${content}`,
    });
  }

  failure(_call: Call, failure: GatewayError): Answer {
    return failureReply(this.speech, failure);
  }

  /** The call goes on as the request of REST that its message is. */
  #forward(call: Complete, content: Buffer, next: (call: Complete) => void): void {
    const target = this.#target;
    if (target === undefined) throw new Error('a call without a method went on');
    const message = this.#read(target.method, content);
    if (typeof message === 'string') throw malformed(`The message is no ${target.method.request.name}: ${message}`);
    const httpRequest = toHttpRequest(target.method.rules, message);
    if (httpRequest === undefined)
      throw malformed(`A field that the path of ${target.method.name} needs is empty, or does not fit.`);
    const { rule, path, query, body } = httpRequest;
    this.#rule = rule;
    call.path = target.publicPath(rule, path, call);
    call.method = rule.method;
    call.query = query;
    call.hasQuery = query !== '';
    call.content = body === undefined ? NOTHING : Buffer.from(JSON.stringify(body));
    const fields = withoutSpeech(call.fields);
    if (body !== undefined) fields.push('Content-Type', 'application/json');
    call.fields = fields;
    next(call);
  }

  #read({ request }: RpcMethod, content: Buffer): JsonMessage | string {
    if (this.speech.format === 'proto') return request.fromBytes(content);
    const value = content.length === 0 ? {} : parsed(content);
    return value === undefined ? 'it is not JSON' : request.fromJson(value);
  }

  /** R's answer as a message; a text: why it is none. */
  #answered({ body, status }: Answer): Buffer | string {
    const response = this.#target?.method.response;
    if (response === undefined || this.#rule === undefined) return 'it came unasked';
    if (!Buffer.isBuffer(body)) return 'it is larger than `answer.bufferMax`';
    const value = status === 204 || body.length === 0 ? {} : parsed(body);
    if (value === undefined) return 'it is not JSON';
    const message = toAnswerMessage(this.#rule, value);
    if (this.speech.format === 'proto') return response.toBytes(message);
    const json = response.toJson(message);
    return typeof json === 'string' ? json : Buffer.from(JSON.stringify(json));
  }
}

/** An error of R's as the end of a call. */
export function endOfError(speech: Speech, answer: Answer): Answer {
  const { status, fields, via } = answer;
  const message = messageOf(answer);
  dropBody(answer);
  const kept = fields.filter((_, i) => PASSED_ON.has((fields[i - (i % 2)] ?? '').toLowerCase()));
  return endReply(speech, { code: codeOfHttp(status), message, httpStatus: status, fields: kept, via });
}

/** Says why a call is refused in the caller's own protocol, where its messages pass as they are. */
export function refusalsIn(speech: Speech): Transcoder {
  return {
    protocol: speech.protocol,
    keepsStatus: true,
    request: (call, next) => next(call),
    answer: (_call, answer) => answer,
    failure: (_call, failure) => failureReply(speech, failure),
  };
}

/** The same for a call that no door took, and whose caller waits for an end of gRPC or gRPC-Web; undefined: it does not. */
export function refusalsOf({ fields, httpVersion }: Call): Transcoder | undefined {
  const speech = speechOf(fields);
  if (speech === undefined || speech.protocol === 'connect') return undefined; // its JSON is any caller's
  return speech.protocol === 'grpc' && httpVersion !== '2.0' ? undefined : refusalsIn(speech);
}

/** Refuses a call of a method that is not there. */
export function unknownMethod({ path }: Call): GatewayError {
  const detail = 'No route of this gateway serves the method.';
  return new GatewayError('NO_ROUTE', `no route serves the method ${path}`, { detail });
}

/** A refusal or failure of the gateway's as the end of a call. */
function failureReply(speech: Speech, failure: GatewayError): Answer {
  const { fields, status: httpStatus } = failure;
  return endReply(speech, { ...statusOfFailure(failure), httpStatus, fields, via: null });
}

interface RpcParts {
  readonly speech: Speech;
  readonly target: RpcTarget | undefined;
  readonly unpack: Unpack;
}

const NOTHING = Buffer.alloc(0);

/** Of an error of R's its caller is told these. */
const PASSED_ON = new Set(['via', 'retry-after', 'www-authenticate', 'cache-status', 'traceparent']);

const MESSAGE_LENGTH_MAX = 1_024;

/** What R says of an error, in a line. */
function messageOf({ body, status }: Answer): string {
  const said = Buffer.isBuffer(body) ? parsed(body.subarray(0, BYTES_READ_MAX)) : undefined;
  const { detail, message, error } = isRecord(said) ? said : {};
  const words = [detail, message, error]
    .map(only)
    .map(textOf)
    .find(text => text !== '');
  return (words ?? `The service answered with the status ${status}.`).slice(0, MESSAGE_LENGTH_MAX);
}

const BYTES_READ_MAX = 64 * 1_024;

/** Where R boxes its scalars, each is a list of one. */
function only(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

function parsed(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    return undefined;
  }
}
