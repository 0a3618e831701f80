;; A product of what does not change leaves its loops, with its constant; the sum is too cheap, the load has an effect.
;;passes fold gvn licm dead
(module (memory 1)
  (func (param i32 i32) (local i32 i32)
    (loop
      (local.set 3 (i32.const 0))
      (loop
        (i32.store (local.get 2) (i32.add (i32.mul (local.get 0) (i32.const 77)) (i32.mul (i32.load (local.get 1)) (local.get 0))))
        (br_if 0 (i32.lt_u (local.tee 3 (i32.add (local.get 3) (i32.add (local.get 0) (i32.const 5)))) (i32.const 10))))
      (br_if 0 (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 10))))))
;;| func 0 (i32 i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.param 1
;;|     v27 = i32.const 0
;;|     v9 = i32.const 77
;;|     v10 = i32.mul v1 v9
;;|     jump b1
;;| b1: preds b0 b3 loop b1 depth 1
;;|     v5 = i32.phi v27 v22
;;|     jump b2
;;| b2: preds b1 b2 loop b2 depth 2
;;|     v8 = i32.phi v27 v17
;;|     v11 = i32.load v2 +0
;;|     v12 = i32.mul v1 v11
;;|     v13 = i32.add v10 v12
;;|     store v5 v13 +0
;;|     v15 = i32.const 5
;;|     v16 = i32.add v1 v15
;;|     v17 = i32.add v8 v16
;;|     v18 = i32.const 10
;;|     v19 = i32.ltu v17 v18
;;|     branch v19 b2 b3
;;| b3: preds b2 loop b1 depth 1
;;|     v21 = i32.const 1
;;|     v22 = i32.add v5 v21
;;|     v24 = i32.ltu v22 v18
;;|     branch v24 b1 b4
;;| b4: preds b3
;;|     return
