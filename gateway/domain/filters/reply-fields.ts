import { appendField, fieldsOf, removeField, setField } from '../http/fields.ts';
import type { Filter } from '../route.ts';
import type { Template } from '../routing/template.ts';

interface FieldArgs {
  readonly name: string;
  readonly value: Template;
}

/** Adds one more line of a field to the reply; where it must not be doubled, only when there is none with something in it. */
export function addResponseHeader(text: string, args: FieldArgs & { readonly mayRepeat: boolean }): Filter {
  const { name, value, mayRepeat } = args;
  const lowerName = name.toLowerCase();
  return {
    name: 'AddResponseHeader',
    text,
    onReply({ fields }, { variables }) {
      const isThere = () => fieldsOf(fields, lowerName).some(line => line.trim() !== '');
      if (mayRepeat) appendField(fields, name, value.expand(variables));
      else if (!isThere()) setField(fields, name, value.expand(variables));
    },
  };
}

/** Leaves exactly one line of a field in the reply. */
export function setResponseHeader(text: string, { name, value }: FieldArgs): Filter {
  return {
    name: 'SetResponseHeader',
    text,
    onReply: ({ fields }, { variables }) => setField(fields, name, value.expand(variables)),
  };
}

/** Removes a field from the reply. */
export function removeResponseHeader(text: string, name: string): Filter {
  const lowerName = name.toLowerCase();
  return { name: 'RemoveResponseHeader', text, onReply: ({ fields }) => removeField(fields, lowerName) };
}

/** Answers with another status than the instance's; the rest of the reply stays. */
export function setStatus(text: string, status: number): Filter {
  return {
    name: 'SetStatus',
    text,
    onReply: draft => {
      draft.status = status;
    },
  };
}
