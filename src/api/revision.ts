/** etcd's revision numbers. They are asserted to be safe integers (< 2^53) where they enter. */
declare const modRevisionBrand: unique symbol;
export type ModRevision = number & { readonly [modRevisionBrand]?: true };

export const NO_REVISION: ModRevision = 0;
