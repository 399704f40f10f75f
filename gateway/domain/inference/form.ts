import type { Call, Complete } from '../call.ts';
import type { GatewayError } from '../errors.ts';
import type { RawFields } from '../http/fields.ts';
import type { Answer } from '../upstream.ts';
import type { Tensor, TensorView } from './tensor.ts';

/** A parameter's value, as the protocol has them. */
export type Parameter = string | number | boolean;

/** What a caller asks of a model. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly parameters: Readonly<Record<string, Parameter>> | undefined;
  readonly inputs: readonly Tensor[];
  /** Undefined: all outputs. */
  readonly outputs: readonly WantedOutput[] | undefined;
  /** All outputs are wanted in the raw form, unless one says otherwise. */
  readonly isBinary: boolean;
}

/** An output that is asked for. */
export interface WantedOutput {
  readonly name: string;
  readonly isBinary: boolean;
}

/** Inputs of one request: a model with more columns does not publish them. */
export const TENSORS_MAX = 1_024;

/** Whose answer it is. */
export interface Answered {
  readonly model: string;
  /** Undefined: it has none, or it is not known which of several. */
  readonly version: string | undefined;
  readonly tensors: readonly Tensor[];
}

/** What the protocol says of a model. */
export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorView[];
  readonly outputs: readonly TensorView[];
}

/** The Open Inference Protocol in one of its two forms, as one call speaks it. */
export interface InferenceForm {
  /** For the log. */
  readonly protocol: string;
  readonly originalMethod: string;
  readonly originalPath: string;
  /** What its caller leaves it; Infinity where the form has no word for it. */
  readonly timeoutMs: number;
  /** The status of HTTP is the form's own. */
  readonly keepsStatus: boolean;
  /** Throws BAD_REQUEST for what is no request, INVALID_INPUT for tensors that are none. */
  read(call: Complete): InferRequest;
  /** Those that R is sent, less what describes the body in this form. */
  fieldsFrom(fields: RawFields): string[];
  ready(name: string, isReady: boolean): Answer;
  metadata(model: ModelMetadata): Answer;
  /** A prediction; the list of fields is the answer's own, changed in place. */
  answered(answer: Answer, answered: Answered, request: InferRequest): Answer;
  /** An error of R's, whose body is whole. */
  refused(answer: Answer): Answer;
  failure(call: Call, failure: GatewayError): Answer;
}
