/**
 * Who encodes a task: a worker, or the owner because it needs the items before a worker has come to them.
 * A task has a cell of shared memory and a ticket that is never used again; who replaces the ticket by its negative has it.
 *
 *     offer      cell = 7
 *     claim(7)   cell = -7      one of two threads succeeds
 *     offer      cell = 8       the cell is used again; a message that still says 7 finds no such ticket
 */
export function offer(cells: Int32Array, cell: number, ticket: number): void {
  Atomics.store(cells, cell, ticket);
}

/** True for the one thread that may encode the task. */
export function claim(cells: Int32Array, cell: number, ticket: number): boolean {
  return Atomics.compareExchange(cells, cell, ticket, -ticket) === ticket;
}

export function isClaimed(cells: Int32Array, cell: number, ticket: number): boolean {
  return Atomics.load(cells, cell) === -ticket;
}

const TICKET_MAX = 2 ** 31 - 1;

export function nextTicket(ticket: number): number {
  return ticket === TICKET_MAX ? 1 : ticket + 1;
}
