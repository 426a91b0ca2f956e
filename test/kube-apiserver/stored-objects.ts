const OLD = '2026-01-02T03:04:05Z';

/** Values as they may lie in etcd, written by servers and schemas of other days: key below the group, value. */
const meta = (name: string, more = '') =>
  `"metadata":{"creationTimestamp":"${OLD}"${more},"name":"${name}","namespace":"default","uid":"u-${name}"}`;
const widget = (name: string, members: string, more = '') =>
  [`widgets/default/${name}`, `{"apiVersion":"ex.io/v1","kind":"Widget",${meta(name, more)}${members}}\n`] as const;
const gadget = (name: string, of: string, members: string) =>
  [`gadgets/default/${name}`, `{"apiVersion":"ex.io/${of}","kind":"Gadget",${meta(name)}${members}}\n`] as const;
const bolt = (name: string, members: string) =>
  [`bolts/${name}`, `{"apiVersion":"ex.io/v1","kind":"Bolt","metadata":{"name":"${name}"}${members}}\n`] as const;
export const stored: readonly (readonly [key: string, value: string])[] = [
  bolt('s-text', ',"spec":{"replicas":"three"}'),
  bolt('s-large', ',"spec":{"replicas":0},"status":{"replicas":4294967297}'),
  bolt('s-fraction', ',"spec":{"replicas":0.00001}'),
  bolt('s-no-map', ',"spec":"x"'),
  bolt('s-list', ',"spec":{"replicas":1},"status":[1,{"a":[true,null,1e-5,"x"]}]'),
  bolt('s-null', ',"spec":null,"status":null'),
  widget('s-null-spec', ',"spec":null'),
  widget(
    's-nulls',
    ',"spec":{"color":null,"size":null,"on":null,"set":null,"keyed":null,"atomic":null,"map":null,"open":null,"part":null,"template":null,"raw":null,"defaulted":null}',
  ),
  widget(
    's-nulls-within',
    ',"spec":{"defaulted":[null,{"a":null},{}],"keyed":[null],"map":{"a":null,"b":{"c":null}},"words":{"a":null},"lists":[null,[null]],"open":{"a":null},"templates":[null]}',
  ),
  widget(
    's-wrong-types',
    ',"spec":{"color":7,"size":"big","on":"yes","set":{"a":1},"map":[1],"defaulted":"x","ratio":"y","template":[],"raw":7,"templates":{"a":1}}',
  ),
  widget('s-spec-text', ',"spec":"text"'),
  widget('s-numbers', ',"spec":{"ratio":1.50,"double":1E3,"large":-0,"size":1e2,"port":-0.0}'),
  widget(
    's-numbers-too',
    ',"spec":{"ratio":-0.0,"double":100000000000000000000,"large":18446744073709551615,"port":1e-400,"atomic":[1.0,1e20,0.000001,1e-7]}',
  ),
  widget('s-spaces', ' , "spec" : { "color" :\t"red",\n"size":  1 }'),
  widget('s-order', ',"spec":{"size":1,"color":"red"},"a":1'),
  widget('s-twice', ',"spec":{"size":1,"size":2,"color":"red","color":"blue"}'),
  widget(
    's-embedded',
    ',"spec":{"raw":{"apiVersion":null,"kind":null,"metadata":null,"x":1},"template":{"kind":7,"metadata":{"name":7}},"templates":[{"metadata":{"labels":7,"name":"a"}},{"apiVersion":{},"kind":"K","metadata":{}}]}',
  ),
  widget('s-labels', ',"spec":{}', ',"labels":{"app":"web","ex.io/team":"b"},"generation":0'),
  widget('s-labels-null', ',"spec":{}', ',"labels":{"app":null},"annotations":null,"generation":5'),
  widget('s-bad-metadata', ',"spec":{}', ',"labels":{"app":1},"annotations":["x"],"finalizers":["f"]'),
  widget(
    's-more-metadata',
    ',"spec":{}',
    ',"unknown":1,"selfLink":"/x","resourceVersion":"77","ownerReferences":[],"generateName":"","deletionGracePeriodSeconds":0,"managedFields":[]',
  ),
  widget('s-generation', ',"spec":{}', ',"generation":"5"'),
  widget(
    's-deleting',
    ',"spec":{}',
    `,"deletionTimestamp":"${OLD}","deletionGracePeriodSeconds":30,"finalizers":["f"]`,
  ),
  widget(
    's-managed',
    ',"spec":{}',
    `,"managedFields":[{"manager":"m","operation":"Apply","apiVersion":"ex.io/v1","time":"${OLD}","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:b":{},"f:a10":{},"f:a2":{},".":{}}},"subresource":""}]`,
  ),
  widget(
    's-status',
    ',"status":{"replicas":2,"selector":"a=b","phase":"Up","conditions":[{"type":"Up","status":"x"},{"type":"Ready","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z","why":1}]}',
  ),
  widget(
    's-since-null',
    ',"status":{"conditions":[{"type":"Ready","status":"False","lastTransitionTime":"null"}]},"spec":{"at":"2026-02-30T00:00:00Z"}',
  ),
  widget(
    's-since-empty',
    ',"status":{"conditions":[{"type":"Ready","status":"","lastTransitionTime":""}]},"spec":{"at":"2026-01-02T03:04:05,25+23:59"}',
  ),
  widget(
    's-since-never',
    ',"status":{"conditions":[{"type":"Ready","lastTransitionTime":"yesterday"}]},"spec":{"at":"9999-01-01T00:00:00Z"}',
  ),
  widget(
    's-since-zero',
    ',"status":{"conditions":[{"type":"Ready","lastTransitionTime":"0001-01-01T00:00:00Z"}]},"spec":{"at":"0001-01-01T00:00:01Z","day":"1900-01-01T00:00:00Z"}',
  ),
  widget(
    's-prototype',
    ',"spec":{"open":{"__proto__":{"a":1},"constructor":1,"toString":null},"words":{"__proto__":"x"}}',
  ),
  gadget('s-v1beta1', 'v1beta1', ',"spec":{"a":"1","b":null,"c":"3","n":null}'),
  gadget('s-v2alpha1', 'v2alpha1', ',"spec":{"a":"1","b":5,"c":null,"n":null}'),
  gadget('s-v1alpha1', 'v1alpha1', ',"spec":{"a":null,"b":null,"c":null,"n":null,"d":4},"status":null'),
  gadget('s-v1', 'v1', ',"spec":{"a":null,"b":null,"c":null,"n":null,"d":4}'),
];
