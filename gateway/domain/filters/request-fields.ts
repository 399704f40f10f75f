import { appendField, removeField, setField } from '../http/fields.ts';
import type { Filter } from '../route.ts';
import type { Template } from '../routing/template.ts';

interface FieldArgs {
  readonly name: string;
  readonly value: Template;
}

/** Adds one more line of a field to what the instance is sent. */
export function addRequestHeader(text: string, { name, value }: FieldArgs): Filter {
  return {
    name: 'AddRequestHeader',
    text,
    onRequest: (draft, { variables }) => appendField(draft.fields, name, value.expand(variables)),
  };
}

/** Leaves exactly one line of a field in what the instance is sent. */
export function setRequestHeader(text: string, { name, value }: FieldArgs): Filter {
  return {
    name: 'SetRequestHeader',
    text,
    onRequest: (draft, { variables }) => setField(draft.fields, name, value.expand(variables)),
  };
}

/** Removes a field from what the instance is sent. */
export function removeRequestHeader(text: string, name: string): Filter {
  const lowerName = name.toLowerCase();
  return { name: 'RemoveRequestHeader', text, onRequest: draft => removeField(draft.fields, lowerName) };
}

/** Sends the instance the `Host` that the caller sent, instead of the instance's own. */
export function preserveHostHeader(text: string): Filter {
  return {
    name: 'PreserveHostHeader',
    text,
    onRequest: (draft, { host }) => {
      draft.host = host;
    },
  };
}
