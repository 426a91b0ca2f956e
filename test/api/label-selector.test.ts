import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatLabelSelector,
  type LabelRequirement,
  matchesLabel,
  parseLabelSelector,
} from '../../src/api/label-selector.js';

// Every row was answered by apimachinery's own labels.Parse (0.36).
const NAME =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const canonical: [text: string, canonical: string][] = [
  ['', ''],
  ['a', 'a'],
  ['!a', '!a'],
  ['a=', 'a='],
  ['a!=', 'a!='],
  ['a==b', 'a==b'],
  ['a in ()', 'a in ()'],
  ['a in (b,a,a)', 'a in (a,b)'],
  ['a in (,b)', 'a in (,b)'],
  ['a in (b,)', 'a in (,b)'],
  ['a in (b,,c)', 'a in (,b,c)'],
  ['a notin (x)', 'a notin (x)'],
  ['a>1', 'a>1'],
  ['a in (in,notin)', 'a in (in,notin)'],
  ['in in (in)', 'in in (in)'],
  ['ex.io/a=b', 'ex.io/a=b'],
  ['a=b,c,!d,e in (f)', 'a=b,c,!d,e in (f)'],
  ['b=1,a=2', 'a=2,b=1'],
  ['  a  =  b  ', 'a=b'],
  ['a\n in\t(b)', 'a in (b)'],
];
for (const [text, want] of canonical) {
  test(`labelSelector ${JSON.stringify(text)} is ${want === '' ? 'everything' : want}`, () => {
    const selector = parseLabelSelector(text);
    assert.ok(selector.ok);
    assert.equal(formatLabelSelector(selector.value), want);
    const again = parseLabelSelector(want);
    assert.deepEqual(again, selector, 'the canonical text parses to the same selector');
  });
}

const rejected: [text: string, message: string][] = [
  ['a<-5', `unable to parse requirement: values[0][a]: Invalid value: "-5": ${VALUE}`],
  ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ['a!', "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"],
  ['a===', "unable to parse requirement: found '=', expected: identifier"],
  ['a in b', "unable to parse requirement: found 'b' expected: '('"],
  ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['a in (b c)', "unable to parse requirement: found 'c', expected: ',' or ')'"],
  ['a in', "unable to parse requirement: found '' expected: '('"],
  ['a in (', "unable to parse requirement: found '', expected: ',', ')' or identifier"],
  ['a in (=)', "unable to parse requirement: found '=', expected: ',', ')' or identifier"],
  ['a=b,', "found '', expected: identifier after ','"],
  ['a=b,=', "found '=', expected: identifier after ','"],
  [',b', "found ',', expected: !, identifier, or 'end of string'"],
  ['!a=b', "found '=', expected: ',' or 'end of string'"],
  ['!', "unable to parse requirement: found '', expected: identifier"],
  ['!!a', "unable to parse requirement: found '!', expected: identifier"],
  [
    'a>x',
    `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
  ],
  [
    'a>',
    `unable to parse requirement: values[0]: Invalid value: "": for 'Gt', 'Lt' operators, the value must be an integer`,
  ],
  ['-a', `unable to parse requirement: <nil>: Invalid value: "-a": name part ${NAME}`],
  ['a=-b', `unable to parse requirement: values[0][a]: Invalid value: "-b": ${VALUE}`],
  [
    'a/b/c',
    `unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key ${NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
  ],
  ['/a', 'unable to parse requirement: <nil>: Invalid value: "/a": prefix part must be non-empty'],
  ['A/a', `unable to parse requirement: <nil>: Invalid value: "A/a": prefix part ${SUBDOMAIN}`],
  [
    'ex.io/',
    `unable to parse requirement: <nil>: Invalid value: "ex.io/": name part must be non-empty; name part ${NAME}`,
  ],
  // A NUL ends the token before it; alone, it ends the text.
  ['a\0b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ['a=\0=b', "unable to parse requirement: found '=', expected: identifier"],
  ['a=b, \0=', "found '', expected: identifier after ','"],
  ['a=b c', "found 'c', expected: ',' or 'end of string'"],
  ['a in (b) c', "found 'c', expected: ',' or 'end of string'"],
  ['a in (b!)', "unable to parse requirement: found '!', expected: ',' or ')'"],
  ['a="q"', `unable to parse requirement: values[0][a]: Invalid value: "\\"q\\"": ${VALUE}`],
  ['é=1', `unable to parse requirement: <nil>: Invalid value: "é": name part ${NAME}`],
  ['a<>b', "unable to parse requirement: found '>', expected: identifier"],
  ['a=!', "unable to parse requirement: found '!', expected: identifier"],
  ['a=(', "unable to parse requirement: found '(', expected: identifier"],
  ['a>=1', "unable to parse requirement: found '=', expected: identifier"],
  [
    'a>1,a>x',
    `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
  ],
  [
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'unable to parse requirement: <nil>: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": name part must be no more than 63 bytes',
  ],
  [
    'a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'unable to parse requirement: values[0][a]: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": must be no more than 63 bytes',
  ],
  [
    'a in (-b,-c)',
    `unable to parse requirement: [values[0][a]: Invalid value: "-b": ${VALUE}, values[1][a]: Invalid value: "-c": ${VALUE}]`,
  ],
  ['a in (x=y)', "unable to parse requirement: found '=', expected: ',' or ')'"],
  [
    'a>9223372036854775808',
    `unable to parse requirement: values[0]: Invalid value: "9223372036854775808": for 'Gt', 'Lt' operators, the value must be an integer`,
  ],
  ['a)', "unable to parse requirement: found ')', expected: in, notin, =, ==, !=, gt, lt"],
  ['<', "found '<', expected: !, identifier, or 'end of string'"],
  ['a in ((b))', "unable to parse requirement: found '(', expected: ',', ')' or identifier"],
  ['a in (a b', "unable to parse requirement: found 'b', expected: ',' or ')'"],
  ['a,,b', "found ',', expected: identifier after ','"],
];
for (const [text, message] of rejected) {
  test(`labelSelector ${JSON.stringify(text)} is rejected`, () => {
    assert.deepEqual(parseLabelSelector(text), { ok: false, message });
  });
}

// Which values of label `a` match (undefined: the object lacks the label)?
const values = [undefined, '', 'b', 'c', '5', '05', '10', '-3', '9223372036854775808'];
const matching: [selector: string, matching: (string | undefined)[]][] = [
  ['a', ['', 'b', 'c', '5', '05', '10', '-3', '9223372036854775808']],
  ['!a', [undefined]],
  ['a=b', ['b']],
  ['a==b', ['b']],
  ['a=', ['']],
  ['a!=b', [undefined, '', 'c', '5', '05', '10', '-3', '9223372036854775808']],
  ['a!=', [undefined, 'b', 'c', '5', '05', '10', '-3', '9223372036854775808']],
  ['a in (b,c)', ['b', 'c']],
  ['a in ()', ['']],
  ['a notin (b,c)', [undefined, '', '5', '05', '10', '-3', '9223372036854775808']],
  ['a>4', ['5', '05', '10']],
  ['a<6', ['5', '05', '-3']],
  ['a>5', ['10']],
  ['a<5', ['-3']],
];
for (const [selector, want] of matching) {
  test(`labelSelector ${selector} matches ${JSON.stringify(want)}`, () => {
    const parsed = parseLabelSelector(selector);
    assert.ok(parsed.ok);
    const requirement: LabelRequirement = parsed.value[0]!;
    assert.deepEqual(
      values.filter((value) => matchesLabel(requirement, value)),
      want,
    );
  });
}
