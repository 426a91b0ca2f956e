/** CustomResourceDefinitions of every sort, for `custom-resources.e2e.ts`. */

export const GROUP = 'ex.io';

const text = { type: 'string' };
const integer = { type: 'integer' };
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const list = (items: object, more: object = {}) => ({ type: 'array', items, ...more });
const KEEP = { 'x-kubernetes-preserve-unknown-fields': true };
const EMBEDDED = { 'x-kubernetes-embedded-resource': true };
const anything = { type: 'object', ...KEEP };

interface Version {
  readonly name: string;
  readonly [member: string]: unknown;
}

export function definition(plural: string, kind: string, versions: readonly Version[], more: object = {}) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: { group: GROUP, scope: 'Namespaced', names: { plural, kind }, versions, ...more },
  };
}

export const version = (name: string, schema: object, more: object = {}): Version => ({
  name,
  served: true,
  storage: name === 'v1',
  schema: { openAPIV3Schema: schema },
  ...more,
});

const column = (name: string, type: string, jsonPath: string, more: object = {}) => ({ name, type, jsonPath, ...more });

/** Every keyword that changes what is read, in one schema. */
const widgetSchema = object({
  spec: object(
    {
      color: { type: 'string', enum: ['red', 'green', 'blue'], default: 'green' },
      size: { type: 'integer', format: 'int32', nullable: true, default: 3 },
      large: { type: 'integer', format: 'int64' },
      on: { type: 'boolean' },
      ratio: { type: 'number' },
      double: { type: 'number', format: 'double' },
      port: { 'x-kubernetes-int-or-string': true },
      either: { anyOf: [integer, text], 'x-kubernetes-int-or-string': true },
      at: { type: 'string', format: 'date-time' },
      day: { type: 'string', format: 'date' },
      bytes: { type: 'string', format: 'byte' },
      set: list(text, { 'x-kubernetes-list-type': 'set' }),
      keyed: list(object({ name: text, value: { type: 'string', default: 'v' } }, { required: ['name'] }), {
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
      atomic: list({ type: 'integer', nullable: true }, { 'x-kubernetes-list-type': 'atomic' }),
      defaulted: list(object({ a: { type: 'string', default: 'x' } }), { default: [{}] }),
      map: { type: 'object', additionalProperties: object({ c: { type: 'integer', default: 7 } }) },
      words: { type: 'object', additionalProperties: text },
      granular: object({ a: text, b: text }, { 'x-kubernetes-map-type': 'atomic' }),
      open: anything,
      part: object({ known: text, strict: object({ a: text }) }, KEEP),
      lists: list(list(integer)),
      template: { type: 'object', ...EMBEDDED, properties: { spec: object({ a: text }) } },
      raw: { type: 'object', ...EMBEDDED, ...KEEP },
      templates: list({ type: 'object', ...EMBEDDED, ...KEEP }),
      selector: text,
    },
    { default: {} },
  ),
  status: object({
    replicas: integer,
    selector: text,
    phase: text,
    conditions: list(
      object(
        {
          type: text,
          status: text,
          lastTransitionTime: { type: 'string', format: 'date-time' },
          count: integer,
          weight: { type: 'number' },
        },
        { required: ['type'] },
      ),
      { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
    ),
  }),
});

const widgetColumns = [
  column('Color', 'string', '.spec.color', { description: 'of the "widget" <all>' }),
  column('Size', 'integer', '.spec.size', { format: 'int32', priority: 1 }),
  column('Large', 'integer', '.spec.large', { format: 'int64' }),
  column('Ratio', 'number', '.spec.ratio', { format: 'double' }),
  column('Ratio Text', 'string', '.spec.ratio'),
  column('Ratio Integer', 'integer', '.spec.ratio', { priority: -1 }),
  column('On', 'boolean', '.spec.on'),
  column('On Text', 'string', '.spec.on'),
  column('Port', 'string', '.spec.port'),
  column('Port Integer', 'integer', '.spec.port'),
  column('At', 'date', '.spec.at', { format: 'date-time' }),
  column('Day', 'date', '.spec.day', { format: 'date' }),
  column('Bytes', 'string', '.spec.bytes', { format: 'byte' }),
  column('Secret', 'string', '.spec.selector', { format: 'password', priority: 10 }),
  column('Ready', 'string', '.status.conditions[?(@.type=="Ready")].status'),
  column('Since', 'date', '.status.conditions[?(@.type=="Ready")].lastTransitionTime'),
  column('Label', 'string', '.metadata.labels.ex\\.io/team'),
  column('Age', 'date', '.metadata.creationTimestamp'),
];

/** What client-go's jsonpath takes, and what it fails at while it looks. */
export const PATHS = [
  ...[
    '.',
    '.spec',
    '.spec.',
    '.spec.port',
    '.spec.missing',
    '.spec.missing.more',
    '.spec.color.more',
    '.spec.null',
    '.kind',
  ],
  ...[
    '.spec.list',
    '.spec.list[0]',
    '.spec.list[1]',
    '.spec.list[7]',
    '.spec.list[-1]',
    '.spec.list[-9]',
    '.spec.list[]',
  ],
  ...['.spec.list[*]', '.spec.list[1:]', '.spec.list[:1]', '.spec.list[1:9]', '.spec.list[2:1]', '.spec.list[1:1]'],
  ...[
    '.spec.list[::2]',
    '.spec.list[0:3:2]',
    '.spec.list[0:3:0]',
    '.spec.list[:-1]',
    '.spec.list[0,2]',
    '.spec.list[ 1 , 2 ]',
  ],
  ...['.spec.empty', '.spec.empty[0]', '.spec.empty[*]', '.spec.empty[?(@.a)]', '.spec.emptyMap', '.spec.emptyMap.*'],
  ...[
    '.spec.color[0]',
    '.spec.null[0]',
    '.spec[0]',
    '.spec[*]',
    '.spec.lists[1][0]',
    '.spec.lists[*][1]',
    '.spec.lists.[0]',
  ],
  ...[
    ".spec['color']",
    ".spec['a.b']",
    ".spec['a\\.b']",
    ".spec['missing','color']",
    '.spec.a\\.b',
    ".spec['color'].more",
  ],
  ...[
    '.spec.items[*].n',
    '.spec.items[0].n',
    '.spec.items.*.n',
    '.spec.items[*].only',
    '.spec.items[*].l[1]',
    '..only',
    '..n[0]',
  ],
  ...['.spec.items[?(@.type=="a")].n', ".spec.items[?(@.type=='b')].n", '.spec.items[?(@.type=="x")].n'],
  ...[
    '.spec.items[?(@.n>1)].type',
    '.spec.items[?(@.n>=2)].type',
    '.spec.items[?(@.n<2)].type',
    '.spec.items[?(@.n<=1)].type',
  ],
  ...[
    '.spec.items[?(@.n!=1)].type',
    '.spec.items[?(@.n==1.0)].type',
    '.spec.items[?(@.n=="1")].type',
    '.spec.items[?(@.w>1)].type',
  ],
  ...[
    '.spec.items[?(@.w>1.0)].type',
    '.spec.items[?(@.w)].type',
    '.spec.items[?(@.only)].n',
    '.spec.items[?(@.l[1])].n',
  ],
  ...[
    '.spec.items[?(@.ok==true)].n',
    '.spec.items[?(@.ok!=true)].n',
    '.spec.items[?(@.ok>true)].n',
    '.spec.items[?(@.nil==1)].n',
  ],
  ...['.spec.items[?(@.only=="yes")].n', '.spec.items[?(@.type=="a" )].n', '.spec.items[?( @.type == "a" )].n'],
  ...[
    '.spec.items[?(@.n=1)].n',
    '.spec.items[?(@.n==x)].n',
    '.spec.items[?(@.l==1)].n',
    '.spec.items[?(@.type<"b")].n',
  ],
  ...[
    '.spec.items[?("a"==@.type)].n',
    '.spec.list[?(@=="two")]',
    '.spec.list[?(@>"one")]',
    '.spec.items[?(@.t=="a)b")].n',
  ],
  ...[
    '.spec.items[?(@.t=="x\\"y")].n',
    ".spec.items[?(@.t=='it\\'s')].n",
    '.spec.color color',
    '.spec. color',
    '.spec@.color',
  ],
  ...[
    '.spec$.color',
    '.spec.o',
    '.spec.o.*',
    '.spec.int',
    '.spec.float',
    '.spec.small',
    '.spec.huge',
    '.spec.long',
    '.spec.on',
  ],
  ...[
    '.spec.unicode',
    '.spec.é',
    '.spec.html',
    '.spec.on.more',
    '.spec.int.more',
    '.metadata.name',
    '.spec.date',
    '.spec.items[?(@.n==+1)].n',
  ],
  ...['.spec.color "text"', '.spec.color true', '.spec.color 1.5', '.spec.missing "text"', '.spec.missing true'],
];

const gadgetSpec = (properties: object) => object({ spec: object(properties), status: object({ n: integer }) });

export const definitions = [
  definition(
    'widgets',
    'Widget',
    [
      version('v1', widgetSchema, {
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.size',
            statusReplicasPath: '.status.replicas',
            labelSelectorPath: '.status.selector',
          },
        },
        selectableFields: ['color', 'size', 'on', 'port', 'large', 'at'].flatMap((name) =>
          name === 'port' ? [{ jsonPath: '.status.phase' }] : [{ jsonPath: `.spec.${name}` }],
        ),
        additionalPrinterColumns: widgetColumns,
      }),
    ],
    {
      names: {
        ...{ plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
        ...{ shortNames: ['wd', 'wdg'], categories: ['all', 'things'] },
      },
    },
  ),
  // Several versions, which differ in all that they may: schema, columns, fields, subresources, deprecation.
  definition('gadgets', 'Gadget', [
    version('v1beta1', gadgetSpec({ a: text, b: { type: 'integer', default: 1 } }), {
      ...{ deprecated: true, selectableFields: [{ jsonPath: '.spec.a' }] },
      subresources: { status: {} },
    }),
    version('v1', gadgetSpec({ a: text, b: { type: 'integer', default: 2 }, c: text }), {
      ...{ selectableFields: [{ jsonPath: '.spec.b' }], subresources: { status: {} } },
      additionalPrinterColumns: [column('B', 'integer', '.spec.b')],
    }),
    version(
      'v2alpha1',
      gadgetSpec({ a: text, c: { type: 'string', default: 'c' }, n: { type: 'string', nullable: true } }),
      {
        ...{ deprecated: true, deprecationWarning: 'use "v1" \\ instead of this é' },
        additionalPrinterColumns: [column('C', 'string', '.spec.c')],
      },
    ),
    version('v1alpha1', anything, { served: false }),
  ]),
  // Cluster-scoped, keeps what it does not know, scale only, an unusual list kind.
  definition(
    'bolts',
    'Bolt',
    [
      version('v1', anything, {
        subresources: { scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
      }),
    ],
    { scope: 'Cluster', names: { plural: 'bolts', kind: 'Bolt', listKind: 'BoltCollection' } },
  ),
  ...['string', 'integer', 'number', 'boolean', 'date'].map((type) =>
    definition(`${type}paths`, `Paths${type}`, [
      version('v1', anything, {
        additionalPrinterColumns: PATHS.map((path, index) => column(`C${index}`, type, path)),
      }),
    ]),
  ),
  // Columns behind one that is no path are not shown.
  definition('broken', 'Broken', [
    version('v1', anything, {
      additionalPrinterColumns: [
        column('A', 'string', '.a'),
        column('B', 'string', '..*'),
        column('C', 'string', '.a'),
      ],
    }),
  ]),
];
