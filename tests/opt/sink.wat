;; A loop variable's next value moves behind the last use of the present one: before the test, or onto the edge back.
;;passes fold gvn dead split sink
(module (memory 1)
  (func $test_of_next (param i32) (local i32 i32) ;; the test wants it, so both move
    (loop (local.set 2 (i32.add (local.get 1) (i32.const 1)))
      (i32.store (local.get 1) (i32.const 7))
      (br_if 0 (i32.ne (local.tee 1 (local.get 2)) (local.get 0)))))
  (func $test_of_other (param i32) (local i32 i32)
    (loop (local.set 2 (i32.add (local.get 1) (i32.const 1)))
      (i32.store (local.get 1) (i32.const 7))
      (local.set 1 (local.get 2))
      (br_if 0 (local.tee 0 (i32.add (local.get 0) (i32.const -1))))))
  (func $needed_outside (param i32) (result i32) (local i32 i32)
    (loop (local.set 2 (i32.add (local.get 1) (i32.const 1)))
      (if (i32.load (local.get 1)) (then (local.set 1 (local.get 2)) (br 1))))
    (local.get 1)))
