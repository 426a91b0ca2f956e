import { quoteGo } from '../api/go-text.js';
import { groupResourceOf } from '../api/gvr.js';
import type { Status, StatusDetails } from '../api/status.js';
import { unreachable } from '../lib/assert.js';
import type { Failure } from '../serve/failure.js';
import { ACCEPTED_TYPES, type Representations, representations, STREAM_TYPES } from './negotiate.js';

/** What HTTP itself refuses, before or beside serve's failures. */
export type Refusal =
  /** Nothing is registered there, inside a group version that is. */
  | { readonly kind: 'noRoute' }
  /** Something that kube-apiserver has, and that people will look for: they are told what they talk to. */
  | { readonly kind: 'notServed'; readonly what: string }
  | { readonly kind: 'methodNotAllowed' }
  /** A method that is no verb of the API, asked of what a CRD defines. */
  | { readonly kind: 'noVerb'; readonly group: string; readonly resource: string }
  | { readonly kind: 'readOnly'; readonly method: string }
  | { readonly kind: 'notAcceptable' }
  | { readonly kind: 'notAcceptableStream' }
  | { readonly kind: 'notAcceptableRoute'; readonly offered: Representations }
  | { readonly kind: 'notConvertible'; readonly message: string }
  /** `--max-watches-per-client`. */
  | { readonly kind: 'tooManyWatches'; readonly client: string; readonly max: number }
  /** Nobody knows who asks. */
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'unsupportedMediaType' }
  | { readonly kind: 'bodyTooLarge'; readonly max: number }
  /** CRDs are not known yet. */
  | { readonly kind: 'starting' }
  /** `resource` is '' where the path is no resource's, `name` where it is a collection's. */
  | {
      readonly kind: 'forbidden';
      readonly group: string;
      readonly resource: string;
      readonly name: string;
      readonly message: string;
    }
  /** The target of `--forward-to` does not answer. */
  | { readonly kind: 'unreachable'; readonly message: string }
  | { readonly kind: 'shuttingDown' };

/** What is answered with a Status object. docs/errors.md lists every member; a test holds both together. */
export type Problem = Failure | Refusal;

/** Of what is posted. */
const BODY_TYPES = 'application/json, application/vnd.kubernetes.protobuf';

/** A place becomes free when the client itself ends a watch: sooner than this asking again is of no use. */
const WATCH_RETRY_SECONDS = 10;

/**
 * The one place that knows HTTP codes. Messages are kube-apiserver's own (spec 2.2 - 2.9, 4.5, 9.3):
 * clients match on them. `code` is the HTTP code, `details.retryAfterSeconds` the Retry-After header.
 */
export function toStatus(problem: Problem): Status {
  switch (problem.kind) {
    case 'badRequest':
      return failure(400, 'BadRequest', problem.message);
    case 'invalid': {
      const texts = [...new Set(problem.causes.map(({ field, message }) => `${field}: ${message}`))];
      const list = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
      const { group, kind } = problem.of ?? { group: 'meta.k8s.io', kind: 'ListOptions' };
      return failure(422, 'Invalid', `${kind}.${group} "" is invalid: ${list}`, {
        group,
        ...(kind === '' ? {} : { kind }),
        causes: problem.causes,
      });
    }
    case 'notFound': {
      const { group, resource, name } = problem;
      return failure(404, 'NotFound', `${groupResourceOf(group, resource)} ${quoteGo(name)} not found`, {
        name,
        ...(group === '' ? {} : { group }),
        kind: resource,
      });
    }
    case 'expired': {
      const status = failure(410, 'Expired', problem.message);
      return problem.continue === undefined ? status : { ...status, metadata: { continue: problem.continue } };
    }
    case 'versionTooLarge': {
      const { requested, current, retryAfterSeconds } = problem;
      return failure(504, 'Timeout', `Timeout: Too large resource version: ${requested}, current: ${current}`, {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      });
    }
    case 'initializing': {
      const { lastError, retryAfterSeconds } = problem;
      const because = lastError === undefined ? '' : `: ${lastError}`;
      return failure(429, 'TooManyRequests', `storage is (re)initializing${because}`, { retryAfterSeconds });
    }
    case 'serverTimeout': {
      const { group, resource, operation } = problem;
      const target = groupResourceOf(group, resource);
      return failure(
        500,
        'ServerTimeout',
        `The ${operation} operation against ${target} could not be completed at this time, please try again.`,
        { name: operation, ...(group === '' ? {} : { group }), kind: resource, retryAfterSeconds: 2 },
      );
    }
    case 'deadline':
      return failure(504, 'Timeout', 'Timeout: request did not complete within the allotted timeout', {});
    case 'tooManyRequests': {
      const { message, retryAfterSeconds } = problem;
      return failure(429, 'TooManyRequests', message, { retryAfterSeconds });
    }
    case 'internal':
      return failure(500, 'InternalError', `Internal error occurred: ${problem.message}`, {
        causes: [{ message: problem.message }],
      });
    case 'unclassified':
      return failure(500, undefined, problem.message);
    case 'noRoute':
      return failure(404, 'NotFound', 'the server could not find the requested resource', {});
    case 'notServed':
      return failure(
        404,
        'NotFound',
        `listwatch is read-only and does not serve ${problem.what}: the server could not find the requested resource`,
        {},
      );
    case 'methodNotAllowed':
      return failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
    case 'noVerb': {
      const { group, resource } = problem;
      // Upstream names the verb, which is empty.
      const message = ` is not supported on resources of kind ${quoteGo(groupResourceOf(group, resource))}`;
      return failure(405, 'MethodNotAllowed', message, { group, kind: resource });
    }
    case 'readOnly':
      return failure(
        405,
        'MethodNotAllowed',
        `listwatch is read-only and does not serve ${problem.method}: ` +
          'the server does not allow this method on the requested resource',
        {},
      );
    case 'notAcceptable':
      return failure(406, 'NotAcceptable', `only the following media types are accepted: ${ACCEPTED_TYPES}`);
    case 'notAcceptableStream':
      return failure(406, 'NotAcceptable', `only the following media types are accepted: ${STREAM_TYPES}`);
    case 'notAcceptableRoute': {
      const message = `406: Not Acceptable\n\nAvailable representations: ${representations[problem.offered]}`;
      return failure(406, 'NotAcceptable', message, {});
    }
    case 'notConvertible':
      return failure(406, 'NotAcceptable', problem.message);
    case 'tooManyWatches': {
      const { client, max } = problem;
      const message = `Too many requests, please try again later: ${client} has ${max} watches open, and may not have more`;
      return failure(429, 'TooManyRequests', message, { retryAfterSeconds: WATCH_RETRY_SECONDS });
    }
    case 'unauthorized':
      return failure(401, 'Unauthorized', 'Unauthorized');
    case 'unsupportedMediaType': {
      const message = `the body of the request was in an unknown format - accepted media types include: ${BODY_TYPES}`;
      return failure(415, 'UnsupportedMediaType', message);
    }
    case 'bodyTooLarge':
      return failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${problem.max}`);
    case 'starting': {
      const message = 'the request has been made before all known HTTP paths have been installed, please try again';
      return failure(503, 'ServiceUnavailable', message, { retryAfterSeconds: 5 });
    }
    case 'forbidden': {
      const { group, resource, name, message } = problem;
      const what =
        resource === '' && group === ''
          ? ''
          : `${groupResourceOf(group, resource)}${name === '' ? '' : ` ${quoteGo(name)}`} is `;
      return failure(403, 'Forbidden', `${what}forbidden: ${message}`, {
        ...(name === '' ? {} : { name }),
        ...(group === '' ? {} : { group }),
        ...(resource === '' ? {} : { kind: resource }),
      });
    }
    case 'unreachable':
      return failure(503, 'ServiceUnavailable', `error trying to reach service: ${problem.message}`);
    case 'shuttingDown':
      return failure(503, 'ServiceUnavailable', 'apiserver is shutting down', { retryAfterSeconds: 1 });
    default:
      return unreachable(problem);
  }
}

/** The Status inside an ERROR event: internal failures carry their bare text there (spec 3.2). */
export function toEventStatus(problem: Failure): Status {
  return problem.kind === 'internal' ? failure(500, 'InternalError', problem.message) : toStatus(problem);
}

/** The body of a passed deadline lacks kind and apiVersion (spec 2.5). */
export function isBare(problem: Problem): boolean {
  return problem.kind === 'deadline';
}

function failure(code: number, reason: string | undefined, message: string, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    code,
  };
}
