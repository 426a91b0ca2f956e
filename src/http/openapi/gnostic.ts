import { BackwardWriter } from '../../codec/writer.js';
import { isObject } from '../../lib/is-object.js';
import type { Dialect } from './schema.js';

/**
 * OpenAPI documents as protobuf, in the messages of gnostic (openapiv2/OpenAPIv2.proto, openapiv3/OpenAPIv3.proto), which
 * is the form that client-go asks for. A table for each message says which member becomes which field; only members that
 * our documents have are there, and a test holds the tables to what they contain.
 */
type Json = Readonly<Record<string, unknown>>;
/** Writes a value as a field, tag and all. */
type Write = (into: BackwardWriter, number: number, value: unknown) => void;
interface Message {
  /** By JSON member. */
  readonly members: Readonly<Record<string, readonly [number: number, write: Write]>>;
  /** The list of members whose names begin with `x-`. */
  readonly extensions?: number;
}

/** A document: a few members, and long lists of names and values, which have higher numbers and follow one another. */
interface Layout {
  readonly head: Message;
  readonly lists: readonly {
    /** Where the list is in the JSON, and the numbers of the fields that lead to it and to its items. */
    readonly path: readonly string[];
    readonly numbers: readonly number[];
    readonly write: Write;
  }[];
}

/** Encodes a document. Yields after each definition and path, so that the caller can let others run in between. */
export function* gnostic(dialect: Dialect, document: Json): Generator<undefined, Buffer> {
  const { head, lists } = dialect === 2 ? LAYOUT_2 : LAYOUT_3;
  const into = new BackwardWriter();
  // Written from the end: a message that several lists are in is closed when the first of them is done.
  let around: { readonly number: number; readonly before: number } | undefined;
  const closeAround = () => {
    if (around !== undefined) into.close((around.number << 3) | BYTES, around.before);
    around = undefined;
  };
  for (const { path, numbers, write } of lists.toReversed()) {
    const [outer, inner, item] = numbers.length === 3 ? numbers : [undefined, ...numbers];
    if (around?.number !== outer) closeAround();
    const before = into.length;
    if (outer !== undefined) around ??= { number: outer, before };
    const items = path.reduce((value, name) => value[name] as Json, document);
    for (const [name, of] of Object.entries(items).reverse()) {
      pair(into, item!, name, of, write);
      yield;
    }
    into.close((inner! << 3) | BYTES, before);
  }
  closeAround();
  const listed = new Set(lists.map(({ path }) => path[0]!));
  writeMembers(into, head, Object.fromEntries(Object.entries(document).filter(([name]) => !listed.has(name))));
  return into.finish();
}

function writeMembers(into: BackwardWriter, { members, extensions }: Message, value: Json): void {
  const fields: [number: number, write: Write, value: unknown][] = [];
  const extra: [string, unknown][] = [];
  for (const [name, of] of Object.entries(value)) {
    const member = Object.hasOwn(members, name) ? members[name] : undefined;
    if (member !== undefined) fields.push([...member, of]);
    else if (name.startsWith('x-') && extensions !== undefined) extra.push([name, of]);
    else throw new TypeError(`no field of an OpenAPI message for the member ${JSON.stringify(name)}`);
  }
  if (extra.length > 0) fields.push([extensions!, named(any), Object.fromEntries(extra)]);
  // From the end, so the highest number first.
  for (const [number, write, of] of fields.sort((a, b) => b[0] - a[0])) {
    if (!isLeftOut(write, of)) write(into, number, of);
  }
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

const text: Write = (into, number, value) => {
  const before = into.length;
  into.text(String(value));
  into.close((number << 3) | BYTES, before);
};
const bool: Write = (into, number, value) => {
  into.byte(value === true ? 1 : 0);
  into.varint((number << 3) | VARINT);
};
const int: Write = (into, number, value) => {
  into.varint64(BigInt(Math.trunc(Number(value))));
  into.varint((number << 3) | VARINT);
};
const double: Write = (into, number, value) => {
  into.double(Number(value));
  into.varint((number << 3) | FIXED64);
};

/** Zero is not written, as proto3 has it; an element of a list or of a union is. */
function isLeftOut(write: Write, value: unknown): boolean {
  const isScalar = write === text || write === bool || write === int || write === double;
  return isScalar && (value === '' || value === false || value === 0);
}

/** gnostic's Any: the value as YAML, which JSON is. */
const any: Write = (into, number, value) => {
  const before = into.length;
  text(into, 2, `${JSON.stringify(value)}\n`);
  into.close((number << 3) | BYTES, before);
};

const nothing: Write = () => {};

const message =
  (of: () => Message): Write =>
  (into, number, value) => {
    const before = into.length;
    writeMembers(into, of(), value as Json);
    into.close((number << 3) | BYTES, before);
  };

const each =
  (write: Write): Write =>
  (into, number, value) => {
    const list = value as readonly unknown[];
    for (let index = list.length - 1; index >= 0; index--) write(into, number, list[index]);
  };

/** A message around a field of another one: gnostic's unions and nameless lists. */
const inside =
  (inner: number, write: Write): Write =>
  (into, number, value) => {
    const before = into.length;
    write(into, inner, value);
    into.close((number << 3) | BYTES, before);
  };

/** A list of pairs of a name and a value. */
const named =
  (write: Write): Write =>
  (into, number, value) => {
    for (const [name, of] of Object.entries(value as Json).reverse()) pair(into, number, name, of, write);
  };

function pair(into: BackwardWriter, number: number, name: string, of: unknown, write: Write): void {
  const before = into.length;
  write(into, 2, of);
  text(into, 1, name);
  into.close((number << 3) | BYTES, before);
}

/** One of two messages, as the value has it. */
const either =
  (isFirst: (value: unknown) => boolean, first: Write, second: Write): Write =>
  (into, number, value) =>
    (isFirst(value) ? first : second)(into, number, value);

const isRef = (value: unknown) => isObject(value) && '$ref' in value;
const isTruth = (value: unknown) => typeof value === 'boolean';

// Version 2.

const schema2: Write = message(() => SCHEMA_2);
const SCHEMA_2: Message = {
  members: {
    $ref: [1, text],
    format: [2, text],
    title: [3, text],
    description: [4, text],
    default: [5, any],
    multipleOf: [6, double],
    maximum: [7, double],
    exclusiveMaximum: [8, bool],
    minimum: [9, double],
    exclusiveMinimum: [10, bool],
    maxLength: [11, int],
    minLength: [12, int],
    pattern: [13, text],
    maxItems: [14, int],
    minItems: [15, int],
    uniqueItems: [16, bool],
    maxProperties: [17, int],
    minProperties: [18, int],
    required: [19, each(text)],
    enum: [20, each(any)],
    additionalProperties: [21, either(isTruth, inside(2, bool), inside(1, schema2))],
    type: [22, inside(1, text)],
    items: [23, inside(1, schema2)],
    properties: [25, inside(1, named(schema2))],
  },
  extensions: 31,
};
/** Parameters in the query and in the path have fields of their own. */
const parameterOf = (uniqueItems: number, shift: number): Message => ({
  members: {
    required: [1, bool],
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [5 + shift, text],
    uniqueItems: [uniqueItems, bool],
  },
});
const QUERY_2 = parameterOf(20, 1);
const PATH_2 = parameterOf(19, 0);
const isInQuery = (value: unknown) => isObject(value) && value['in'] === 'query';
const BODY_2: Message = { members: { name: [2, text], in: [3, text], required: [4, bool], schema: [5, schema2] } };
const isBody = (value: unknown) => isObject(value) && value['in'] === 'body';
/** ParametersItem, Parameter and BodyParameter or NonBodyParameter, one in the other. */
const parameter2: Write = inside(
  1,
  either(
    isBody,
    inside(
      1,
      message(() => BODY_2),
    ),
    inside(
      2,
      either(
        isInQuery,
        inside(
          3,
          message(() => QUERY_2),
        ),
        inside(
          4,
          message(() => PATH_2),
        ),
      ),
    ),
  ),
);
const RESPONSE_2: Message = { members: { description: [1, text], schema: [2, inside(1, schema2)] } };
const OPERATION_2: Message = {
  members: {
    tags: [1, each(text)],
    description: [3, text],
    operationId: [5, text],
    produces: [6, each(text)],
    consumes: [7, each(text)],
    parameters: [8, each(parameter2)],
    responses: [
      9,
      inside(
        1,
        named(
          inside(
            1,
            message(() => RESPONSE_2),
          ),
        ),
      ),
    ],
    schemes: [10, each(text)],
  },
  extensions: 13,
};
const PATH_ITEM_2: Message = {
  members: {
    get: [2, message(() => OPERATION_2)],
    post: [4, message(() => OPERATION_2)],
    parameters: [9, each(parameter2)],
  },
};
/** A list of texts is a message of its own. */
const texts: Write = message(() => ({ members: { value: [1, each(text)] } }));
const REQUIREMENT_2: Write = (into, number, value) => {
  const before = into.length;
  for (const [name, of] of Object.entries(value as Json).reverse()) pair(into, 1, name, { value: of }, texts);
  into.close((number << 3) | BYTES, before);
};
const API_KEY_2: Message = { members: { type: [1, text], name: [2, text], in: [3, text], description: [4, text] } };
const LAYOUT_2: Layout = {
  head: {
    members: {
      swagger: [1, text],
      info: [2, message(() => ({ members: { title: [1, text], version: [2, text] } }))],
      security: [12, each(REQUIREMENT_2)],
    },
  },
  lists: [
    { path: ['paths'], numbers: [8, 2], write: message(() => PATH_ITEM_2) },
    { path: ['definitions'], numbers: [9, 1], write: schema2 },
    {
      path: ['securityDefinitions'],
      numbers: [13, 1],
      write: inside(
        2,
        message(() => API_KEY_2),
      ),
    },
  ],
};

// Version 3.

const reference = message(() => ({ members: { $ref: [1, text] } }));
const schema3: Write = either(
  isRef,
  inside(2, reference),
  inside(
    1,
    message(() => SCHEMA_3),
  ),
);
/** Only scalars have a form; for anything else gnostic's message is there, and empty. */
const default3: Write = (into, number, value) => {
  if (typeof value === 'number') inside(1, double)(into, number, value);
  else if (typeof value === 'boolean') inside(2, bool)(into, number, value);
  else if (typeof value === 'string') inside(3, text)(into, number, value);
  else inside(0, nothing)(into, number, undefined);
};
const SCHEMA_3: Message = {
  members: {
    nullable: [1, bool],
    title: [9, text],
    multipleOf: [10, double],
    maximum: [11, double],
    exclusiveMaximum: [12, bool],
    minimum: [13, double],
    exclusiveMinimum: [14, bool],
    maxLength: [15, int],
    minLength: [16, int],
    pattern: [17, text],
    maxItems: [18, int],
    minItems: [19, int],
    uniqueItems: [20, bool],
    maxProperties: [21, int],
    minProperties: [22, int],
    required: [23, each(text)],
    enum: [24, each(any)],
    type: [25, text],
    allOf: [26, each(schema3)],
    oneOf: [27, each(schema3)],
    anyOf: [28, each(schema3)],
    not: [29, message(() => SCHEMA_3)],
    items: [30, inside(1, schema3)],
    properties: [31, inside(1, named(schema3))],
    additionalProperties: [32, either(isTruth, inside(2, bool), inside(1, schema3))],
    default: [33, default3],
    description: [34, text],
    format: [35, text],
  },
  extensions: 36,
};
const content3: Write = inside(1, named(message(() => ({ members: { schema: [1, schema3] } }))));
const PARAMETER_3: Message = {
  members: {
    name: [1, text],
    in: [2, text],
    description: [3, text],
    required: [4, bool],
    schema: [10, schema3],
  },
};
const parameter3: Write = inside(
  1,
  message(() => PARAMETER_3),
);
const RESPONSE_3: Message = { members: { description: [1, text], content: [3, content3] } };
const BODY_3: Message = { members: { content: [2, content3], required: [3, bool] } };
const OPERATION_3: Message = {
  members: {
    tags: [1, each(text)],
    description: [3, text],
    operationId: [5, text],
    parameters: [6, each(parameter3)],
    requestBody: [
      7,
      inside(
        1,
        message(() => BODY_3),
      ),
    ],
    responses: [
      8,
      inside(
        2,
        named(
          inside(
            1,
            message(() => RESPONSE_3),
          ),
        ),
      ),
    ],
  },
  extensions: 13,
};
const PATH_ITEM_3: Message = {
  members: {
    get: [4, message(() => OPERATION_3)],
    post: [6, message(() => OPERATION_3)],
    parameters: [13, each(parameter3)],
  },
};
const SCHEME_3: Message = { members: { type: [1, text], description: [2, text], name: [3, text], in: [4, text] } };
const LAYOUT_3: Layout = {
  head: {
    members: {
      openapi: [1, text],
      info: [2, message(() => ({ members: { title: [1, text], version: [6, text] } }))],
    },
  },
  lists: [
    { path: ['paths'], numbers: [4, 1], write: message(() => PATH_ITEM_3) },
    { path: ['components', 'schemas'], numbers: [5, 1, 1], write: schema3 },
    {
      path: ['components', 'securitySchemes'],
      numbers: [5, 7, 1],
      write: inside(
        1,
        message(() => SCHEME_3),
      ),
    },
  ],
};
