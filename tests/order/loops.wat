;; Loops whose last block jumps back are turned round until a block that may leave stands last.
(module (memory 1)
  (func (param i32) (result i32) (local i32) ;; while: the head tests
    (block (loop
      (br_if 1 (i32.ge_u (local.get 1) (local.get 0)))
      (i32.store8 (local.get 1) (i32.const 1))
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br 0)))
    (local.get 1))
  (func (param i32) (local i32) ;; do: ends with its test already
    (loop
      (i32.store8 (local.get 1) (i32.const 1))
      (br_if 0 (i32.ne (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))))
  (func (param i32) (result i32) (local i32) ;; leaves in the middle, and from the head to somewhere else
    (block (block (loop
      (br_if 2 (i32.load (local.get 1)))
      (local.set 1 (i32.add (local.get 1) (i32.const 4)))
      (br_if 1 (i32.eq (local.get 1) (local.get 0)))
      (i32.store (local.get 1) (i32.const 1))
      (br 0)))
      (return (i32.const 7)))
    (i32.const 8))
  (func (param i32) (local i32 i32) ;; a while inside a while
    (block (loop
      (br_if 1 (i32.ge_u (local.get 1) (local.get 0)))
      (local.set 2 (local.get 1))
      (block (loop
        (br_if 1 (i32.ge_u (local.get 2) (local.get 0)))
        (i32.store8 (local.get 2) (i32.const 1))
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (br 0)))
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br 0))))
  (func (param i32) (local i32) ;; two ways back: which one is the usual one is not known
    (block (loop
      (br_if 1 (i32.ge_u (local.get 1) (local.get 0)))
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (if (i32.load (local.get 1)) (then (i32.store (local.get 1) (i32.const 2)) (br 1)))
      (i32.store8 (local.get 1) (i32.const 1))
      (br 0))))
  (func ;; no way out
    (loop (i32.store8 (i32.const 0) (i32.const 1)) (br 0))))
;;| order 0 2 1 3
;;| order 0 1 3
;;| order 0 3 1 2 4 5 6
;;| order 0 2 4 3 5 1 6
;;| order 0 1 2 3 4 5
;;| order 0 1
