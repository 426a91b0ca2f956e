import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusCause } from '../../src/api/status.js';
import { readSelectors } from '../../src/http/review-selectors.js';

// Selectors in the spec of a SelfSubjectAccessReview: what of them counts, and what is said about the rest.

const IGNORED = 'ignored due to parse error';
const FIELDS = 'spec.resourceAttributes.fieldSelector';
const LABELS = 'spec.resourceAttributes.labelSelector';

const MISSING = "Required value: must be specified when `operator` is 'In' or 'NotIn'";
const FORBIDDEN = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
const causeText = ({ field, message }: StatusCause) => `${field}: ${message}`;
const fields = (...requirements: object[]) => ({ fieldSelector: { requirements } });
const labels = (...requirements: object[]) => ({ labelSelector: { requirements } });
const rows: readonly [
  attributes: object,
  selected: object,
  problems?: readonly string[],
  causes?: readonly string[],
][] = [
  [{}, {}],
  [{ fieldSelector: null, labelSelector: 5 }, {}],
  [
    { fieldSelector: { rawSelector: 'a=b,c!=d' } },
    {
      fields: [
        { field: 'a', operator: '=', value: 'b' },
        { field: 'c', operator: '!=', value: 'd' },
      ],
    },
  ],
  [{ fieldSelector: { rawSelector: 'a' } }, {}, [`${FIELDS} ${IGNORED}`]],
  [
    fields({ key: 'a', operator: 'In', values: ['b'] }, { key: 'c', operator: 'NotIn', values: ['d'] }),
    {
      fields: [
        { field: 'a', operator: '=', value: 'b' },
        { field: 'c', operator: '!=', value: 'd' },
      ],
    },
  ],
  [fields({ key: 'a', operator: 'In', values: ['b', 'c'] }), {}, [`${FIELDS} ${IGNORED}`]],
  [
    fields({ key: 'a', operator: 'In', values: [] }),
    {},
    [`${FIELDS} ${IGNORED}`],
    [`${FIELDS}.requirements[0].values: ${MISSING}`],
  ],
  [
    fields({ key: '', operator: 'In', values: ['b'] }),
    { fields: [{ field: '', operator: '=', value: 'b' }] },
    [],
    [`${FIELDS}.requirements[0].key: Required value: must be specified`],
  ],
  [
    fields({ key: 'a', operator: 'Exists' }, { key: 'c', operator: 'In', values: ['d'] }),
    { fields: [{ field: 'c', operator: '=', value: 'd' }] },
    [`${FIELDS} partially ${IGNORED}`],
  ],
  [{ labelSelector: { rawSelector: 'x in (z,y),!w,v' } }, { labelSelector: 'v,!w,x in (y,z)' }],
  [{ labelSelector: { rawSelector: 'a in (' } }, {}, [`${LABELS} ${IGNORED}`]],
  [
    labels({ key: 'x', operator: 'NotIn', values: ['z', 'y'] }, { key: 'v', operator: 'Exists' }),
    { labelSelector: 'x notin (y,z),v' },
  ],
  [
    labels(
      { key: 'v,w', operator: 'Exists' },
      { key: 'x', operator: 'Odd', values: ['y'] },
      { key: 'u', operator: 'DoesNotExist' },
    ),
    { labelSelector: '!u' },
    [`${LABELS} partially ${IGNORED}`],
  ],
  // Two that would be one, or others, if they were written as text.
  [labels({ key: 'a', operator: 'In', values: ['b),c in (d'] }), {}, [`${LABELS} ${IGNORED}`]],
  [labels({ key: '!a', operator: 'Exists' }), {}, [`${LABELS} ${IGNORED}`]],
  [
    labels({ key: 'a', operator: 'Exists', values: ['b'] }),
    {},
    [`${LABELS} ${IGNORED}`],
    [`${LABELS}.requirements[0].values: ${FORBIDDEN}`],
  ],
  [
    labels({ key: 'a', operator: 'In' }),
    {},
    [`${LABELS} ${IGNORED}`],
    [`${LABELS}.requirements[0].values: ${MISSING}`],
  ],
  [
    { fieldSelector: { rawSelector: 'x' }, labelSelector: { rawSelector: '(' } },
    {},
    [`${FIELDS} ${IGNORED}`, `${LABELS} ${IGNORED}`],
  ],
];
for (const [attributes, selected, problems = [], causes = []] of rows) {
  test(`${JSON.stringify(attributes)} means ${JSON.stringify(selected)}`, () => {
    const read = readSelectors(attributes as Record<string, unknown>);
    assert.deepEqual({ ...read, causes: read.causes.map(causeText) }, { selected, problems, causes });
  });
}

test('one form of a selector must be there, and not both', () => {
  const both = { rawSelector: 'a=b', requirements: [{ key: 'a', operator: 'Exists' }] };
  const causesOf = (attributes: Record<string, unknown>) => readSelectors(attributes).causes.map(causeText);
  assert.deepEqual(causesOf({ fieldSelector: both }), [
    `${FIELDS}.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements`,
  ]);
  assert.deepEqual(causesOf({ labelSelector: { requirements: [] } }), [
    `${LABELS}.requirements: Required value: when ${LABELS} is specified, requirements or rawSelector is required`,
  ]);
});
