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
;;| func 0 $test_of_next (i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     v12 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b3 loop b1 depth 1
;;|     v4 = i32.phi v12 v6
;;|     v5 = i32.const 1
;;|     v7 = i32.const 7
;;|     store v4 v7 +0
;;|     v6 = i32.add v4 v5
;;|     v9 = i32.ne v1 v6
;;|     branch v9 b3 b2
;;| b3: preds b1 loop b1 depth 1
;;|     jump b1
;;| b2: preds b1
;;|     return
;;| func 1 $test_of_other (i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     v14 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b3 loop b1 depth 1
;;|     v4 = i32.phi v14 v7
;;|     v5 = i32.phi v1 v11
;;|     v6 = i32.const 1
;;|     v8 = i32.const 7
;;|     store v4 v8 +0
;;|     v10 = i32.const -1
;;|     v7 = i32.add v4 v6
;;|     v11 = i32.add v5 v10
;;|     branch v11 b3 b2
;;| b3: preds b1 loop b1 depth 1
;;|     jump b1
;;| b2: preds b1
;;|     return
;;| func 2 $needed_outside (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v11 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b2 loop b1 depth 1
;;|     v4 = i32.phi v11 v6
;;|     v5 = i32.const 1
;;|     v7 = i32.load v4 +0
;;|     branch v7 b2 b3
;;| b2: preds b1 loop b1 depth 1
;;|     v6 = i32.add v4 v5
;;|     jump b1
;;| b3: preds b1
;;|     return v4
