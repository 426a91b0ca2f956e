/**
 * What label keys and values may look like, with Kubernetes' own messages. An empty list: valid.
 */
const NAME = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const VALUE = `(${NAME})?`;
const DNS_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${DNS_LABEL}(\\.${DNS_LABEL})*`;

const NAME_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;

const nameRegExp = new RegExp(`^${NAME}$`);
const valueRegExp = new RegExp(`^${VALUE}$`);
const dnsLabelRegExp = new RegExp(`^${DNS_LABEL}$`);
const subdomainRegExp = new RegExp(`^${SUBDOMAIN}$`);

const MUST_CONSIST =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const NAME_MESSAGE = `${MUST_CONSIST} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${NAME}')`;
const VALUE_MESSAGE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
  `with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${VALUE}')`;
const SUBDOMAIN_MESSAGE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end " +
  `with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN}')`;

/** `[prefix/]name`. */
export function labelKeyProblems(key: string): string[] {
  const parts = key.split('/');
  if (parts.length > 2) {
    return [
      `a valid label key ${NAME_MESSAGE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  const name = parts.at(-1)!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...subdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  else if (Buffer.byteLength(name) > NAME_LENGTH_MAX) problems.push(`name part ${tooLong(NAME_LENGTH_MAX)}`);
  if (!nameRegExp.test(name)) problems.push(`name part ${NAME_MESSAGE}`);
  return problems;
}

export function labelValueProblems(value: string): string[] {
  const problems: string[] = [];
  if (Buffer.byteLength(value) > NAME_LENGTH_MAX) problems.push(tooLong(NAME_LENGTH_MAX));
  if (!valueRegExp.test(value)) problems.push(VALUE_MESSAGE);
  return problems;
}

/** The shape of a namespace's name. */
export function isDnsLabel(text: string): boolean {
  return text.length <= NAME_LENGTH_MAX && dnsLabelRegExp.test(text);
}

/** The shape of most names: of nodes, of service accounts. */
export function isSubdomain(text: string): boolean {
  return text.length <= SUBDOMAIN_LENGTH_MAX && subdomainRegExp.test(text);
}

/** What a name must not contain to be one segment of a path, here and in etcd. */
export function pathSegmentProblems(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%'].filter((illegal) => name.includes(illegal)).map((illegal) => `may not contain '${illegal}'`);
}

/** `unit`: Kubernetes has two texts for what is too long. */
export function subdomainProblems(text: string, unit: 'bytes' | 'characters' = 'bytes'): string[] {
  const problems: string[] = [];
  if (Buffer.byteLength(text) > SUBDOMAIN_LENGTH_MAX) problems.push(tooLong(SUBDOMAIN_LENGTH_MAX, unit));
  if (!subdomainRegExp.test(text)) problems.push(SUBDOMAIN_MESSAGE);
  return problems;
}

function tooLong(bytesMax: number, unit: 'bytes' | 'characters' = 'bytes'): string {
  return `must be no more than ${bytesMax} ${unit}`;
}
