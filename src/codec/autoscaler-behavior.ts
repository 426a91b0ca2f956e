import { memberOf, listOf, objectOf, objectText } from './autoscaler-json.js';
import { isJsonObject, type JsonObject, type JsonValue, jsonText } from './json-parse.js';

/** The behavior of an autoscaler in its annotation: Go's struct without JSON names, so all members are there, with capitals. */
export function behaviorText({ scaleUp, scaleDown }: JsonObject): string {
  return objectText([
    ['ScaleUp', rulesText(scaleUp)],
    ['ScaleDown', rulesText(scaleDown)],
  ]);
}

function rulesText(rules: JsonValue | undefined): string {
  if (!isJsonObject(rules)) return 'null';
  const { policies } = rules;
  return objectText([
    ['StabilizationWindowSeconds', jsonText(rules['stabilizationWindowSeconds'])],
    ['SelectPolicy', jsonText(rules['selectPolicy'])],
    ['Policies', Array.isArray(policies) ? `[${policies.map(policyText).join(',')}]` : 'null'],
    ['Tolerance', jsonText(rules['tolerance'])],
  ]);
}

function policyText(policy: JsonValue): string {
  const { type, value, periodSeconds } = objectOf(policy) ?? {};
  return objectText([
    ['Type', jsonText(type)],
    ['Value', jsonText(value)],
    ['PeriodSeconds', jsonText(periodSeconds)],
  ]);
}

/** The other way round; without members when the annotation has none. */
export function behaviorOf(behavior: JsonObject): JsonObject {
  const [scaleUp, scaleDown] = [memberOf(behavior, 'ScaleUp'), memberOf(behavior, 'ScaleDown')];
  return {
    ...(scaleUp === undefined ? {} : { scaleUp: rulesOf(scaleUp) }),
    ...(scaleDown === undefined ? {} : { scaleDown: rulesOf(scaleDown) }),
  };
}

function rulesOf(rules: JsonValue): JsonValue {
  if (!isJsonObject(rules)) return rules;
  const policies = memberOf(rules, 'Policies');
  return {
    stabilizationWindowSeconds: memberOf(rules, 'StabilizationWindowSeconds') ?? null,
    selectPolicy: memberOf(rules, 'SelectPolicy') ?? null,
    policies: policies === undefined ? null : listOf(policies, policyOf),
    tolerance: memberOf(rules, 'Tolerance') ?? null,
  };
}

function policyOf(policy: JsonObject): JsonObject {
  return {
    type: memberOf(policy, 'Type') ?? '',
    value: memberOf(policy, 'Value') ?? 0,
    periodSeconds: memberOf(policy, 'PeriodSeconds') ?? 0,
  };
}
