;; run:
;; status: 1
;; err: unknown import: env\.launch
(module
  (import "env" "launch" (func))
  (func (export "_start")))
