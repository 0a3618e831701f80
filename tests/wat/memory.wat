;; Growth: by steps, at the limit, beyond it, and what is granted against what is declared.
;; run: --invoke grow 1
;; out: 1
;; out: 2
;; run: --invoke grow 9
;; out: 1
;; out: 10
;; run: --invoke grow 10
;; out: -1
;; out: 1
;; run: --invoke grow -1
;; out: -1
;; out: 1
;; run: --memory 4 -- --invoke grow 4
;; out: -1
;; out: 1
;; run: --invoke new_page
;; out: 0
;; out: 77
(module
  (memory 1 10)
  (func (export "grow") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size))
  (func (export "new_page") (result i32 i32)
    (drop (memory.grow (i32.const 1)))
    (i32.load (i32.const 131068))
    (i32.store (i32.const 131068) (i32.const 77))
    (i32.load (i32.const 131068))))
