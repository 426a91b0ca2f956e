/** Calls of a function that is not there yet: they are held, and made in their order once it is. */
export class HeldCalls<T extends readonly unknown[]> {
  #held: T[] = [];
  #to: ((...parameters: T) => void) | undefined;

  readonly call = (...parameters: T): void => {
    if (this.#to === undefined) this.#held.push(parameters);
    else this.#to(...parameters);
  };

  deliverTo(to: (...parameters: T) => void): void {
    this.#to = to;
    for (const parameters of this.#held.splice(0)) to(...parameters);
  }
}
