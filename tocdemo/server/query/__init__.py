"""Documents and what clients ask of them: queries, updates, projections, pipelines.

It works on plain documents and must not know collections, transactions, commands or the wire (but for BSON's
codec and its size). Read it in this order: `values`, `numbers`, `query_operators`, `expressions`, `matching`,
`shaping`, `grouping`, `pipelines`, `projecting`, `paths`, `update_operators`, `updating`.
"""
