/** How much controllers and handlers put into one transaction; larger plans are carried out in several. */
import { operationsPerTransactionMax } from '@cloudless/metadata'

/** Beside the records of a plan: the node or workload it is about, claims of names, a stored answer. */
const othersMax = 16

/** Records changed by one transaction, each with a precondition of its own. */
export const recordsPerTransactionMax: number = operationsPerTransactionMax - othersMax
