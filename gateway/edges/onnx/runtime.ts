import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { whyUnread } from '../config-file.ts';
import { planOf } from '../../domain/onnx/columns.ts';
import { readOnnxModel } from '../../domain/onnx/model-file.ts';

const PACKAGE = 'onnxruntime-node';

/** What is said where it is not installed, in a line. Its post-install script would download what only CUDA needs. */
export function noRuntime(file: string): string {
  const folder = dirname(file);
  return `the package ${PACKAGE} is not installed: npm install --prefix ${folder} --ignore-scripts ${PACKAGE}`;
}

/** Where onnxruntime-node begins, as code in the model's folder would find it, or else the gateway's own; undefined: nowhere. */
export function findRuntime(file: string): string | undefined {
  for (const from of [file, import.meta.url]) {
    try {
      return createRequire(from).resolve(PACKAGE);
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** What is wrong with a model's file, or with this machine for it, that can be said without running it. */
export function onnxFlaws(file: string): readonly OnnxFlaw[] {
  const flaw = flawOfFile(file);
  if (flaw !== undefined) return [{ message: `${file} ${flaw}` }];
  if (findRuntime(file) !== undefined) return [];
  return [{ severity: 'warning', message: noRuntime(file) }];
}

interface OnnxFlaw {
  readonly message: string;
  readonly severity?: 'warning';
}

function flawOfFile(file: string): string | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    return `cannot be read: ${whyUnread(file)}`;
  }
  const model = readOnnxModel(bytes);
  if ('flaw' in model) return model.flaw;
  const plan = planOf(model);
  return 'flaw' in plan ? plan.flaw : undefined;
}
